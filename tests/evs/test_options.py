"""How an endpoint is set up: what is refused, and what makes two of them the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from aiocpg import Reconnect
from aiocpg.evs._endpoint import Settings
from aiocpg.evs._options import MIN_FRAME, Options

GOOD = Options(65536, 1 << 20, Settings())


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("max_frame", MIN_FRAME - 1, ValueError),
        ("max_frame", 1e6, TypeError),
        ("window", 0, ValueError),
        ("window", "1", TypeError),
        ("ack_interval", -1, ValueError),
        ("ack_interval", None, TypeError),
        ("stall_timeout", 0, ValueError),
        ("stall_timeout", float("nan"), ValueError),
        ("stall_timeout", "1", TypeError),
        ("evict_after", 0.5, ValueError),
        ("evict_after", -1, ValueError),
        ("evict_after", "1", TypeError),
    ],
)
def test_option_that_cannot_be_is_refused_by_its_name(name: str, value: Any, error: type[Exception]) -> None:
    """With what it may be."""
    settings = name not in ("max_frame", "window")
    with pytest.raises(error, match=name):
        replace(GOOD, **({"settings": replace(GOOD.settings, **{name: value})} if settings else {name: value}))


@pytest.mark.parametrize(
    "settings",
    [Settings(ack_interval=0), Settings(stall_timeout=1, evict_after=1), Settings(stall_timeout=0.001)],
)
def test_option_at_its_limit_is_taken(settings: Settings) -> None:
    """Limits are among what may be."""
    assert Options(MIN_FRAME, 1, settings).settings is settings


def test_options_are_the_same_where_each_is() -> None:
    """Handles that share an endpoint have to have the same."""
    assert replace(GOOD) == GOOD
    for other in (
        replace(GOOD, max_frame=1000),
        replace(GOOD, window=7),
        replace(GOOD, settings=Settings(crc=True)),
        replace(GOOD, reconnect=Reconnect()),
        replace(GOOD, daemon_uid=0),
    ):
        assert other != GOOD


def test_what_differs_is_told_by_its_name_and_nothing_else_is() -> None:
    """The names are those of ``connect``, wherever the value is kept."""
    asked = replace(GOOD, window=7, settings=Settings(evict_after=3))
    assert GOOD.differences(asked) == "window=1048576 and not 7, evict_after=None and not 3"
    assert GOOD.differences(GOOD) == ""
