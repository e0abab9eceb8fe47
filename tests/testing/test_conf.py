"""What a cluster is made of, as text."""

from __future__ import annotations

from typing import Any

import pytest

from aiocpg.testing._conf import Settings, corosync_conf

PLAIN: dict[str, Any] = {
    "nodes": 3,
    "shm_size": "1M",
    "sched_rr": False,
    "token": 500,
    "extra_uidgid": (),
    "transport": "udpu",
}


@pytest.mark.parametrize("wrong", [{"nodes": 0}, {"nodes": 65}, {"transport": "udp"}, {"token": 99}])
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    """A wrong value is found before anything is started."""
    with pytest.raises(ValueError):
        Settings(**{**PLAIN, **wrong})


def test_provider_of_the_quorum_can_be_left_out() -> None:
    """Then Corosync has none."""
    text = corosync_conf(Settings(**PLAIN, quorum=False))
    assert "provider" not in text
    assert text.count("{") == text.count("}")


def test_the_configuration_says_what_was_asked_for() -> None:
    """Every keyword ends up in corosync.conf."""
    text = corosync_conf(Settings(**{**PLAIN, "sched_rr": True, "token": 700, "extra_uidgid": (7, 8)}))
    lines = [line.strip() for line in text.splitlines()]
    for line in ["sched_rr: yes", "token: 700", "consensus: 840", "uid: 7", "uid: 8", "transport: udpu"]:
        assert line in lines
    assert [line for line in lines if line.startswith("nodeid")] == ["nodeid: 1", "nodeid: 2", "nodeid: 3"]
    assert "provider: corosync_votequorum" in lines
    assert text.count("{") == text.count("}")
