"""What a readiness probe gets: one frozen value."""

from __future__ import annotations

import dataclasses

import pytest

from aiocpg import Health, RingChange, RingId

WELL = Health(True, 0.0, 0.0, RingChange(RingId(1, 8), (1, 2)), 3)


@pytest.mark.parametrize(
    ("trouble", "ready"),
    [
        ({}, True),
        ({"ring": None}, True),
        ({"stalled_for": 2.5}, False),
        ({"is_connected": False}, False),
        ({"is_connected": False, "away_for": 7.0, "ring": None}, False),
    ],
)
def test_ready_is_who_is_connected_and_not_stalled(trouble: dict[str, object], ready: bool) -> None:
    """The ring is for the service to judge: it may not be known, or be a minority."""
    assert dataclasses.replace(WELL, **trouble).is_ready is ready  # type: ignore[arg-type]


def test_snapshot_does_not_change() -> None:
    """It can be kept and compared."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        WELL.reconnects = 4  # type: ignore[misc]
