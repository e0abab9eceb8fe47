"""What is told of /dev/shm: how full ours is, and what daemons that have ended left in it, where that can be known."""

from __future__ import annotations

import os
import shutil

import pytest

from aiocpg.engine.corosync import _shared_memory
from aiocpg.engine.corosync._shared_memory import Owned, no_space, owned

COROSYNC = {7: "corosync", 8: "attrd", 9: "bash"}
LEFT = ["qb-5-100-17-aBcDeF", "qb-5-101-18-aBcDeF", "qb-corosync-5-blackbox-data", "qb-corosync-5-blackbox-header"]
RUNNING = ["qb-7-100-17-aBcDeF", "qb-8-100-17-aBcDeF", "qb-corosync-7-blackbox-data"]
REUSED = ["qb-9-100-17-aBcDeF"]
OTHERS = ["sem.x", "qb-", "qb-x-1-2-3", "pulse-shm-5"]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ([*LEFT, *RUNNING, *OTHERS], Owned(True, 7, 4)),
        ([*RUNNING, *REUSED], Owned(True, 4, 0)),
        ([*LEFT, *REUSED], Owned(False, 5, 0)),  # of another pid namespace, perhaps
        (OTHERS, Owned(False, 0, 0)),
    ],
)
def test_entries_of_dead_daemons_are_counted_beside_a_live_one(names: list[str], found: Owned) -> None:
    """A pid that runs as something else is not counted; without a corosync of ours nobody knows."""
    assert owned(names, lambda pid: COROSYNC.get(pid, "")) == found


def test_pid_is_told_apart_from_none() -> None:
    """By what the kernel says runs as it."""
    assert _shared_memory._program(os.getpid())
    assert _shared_memory._program(2**22 + 1) == ""  # more than a pid can be


def test_another_shared_memory_is_not_taken_for_the_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free in it is told as ours."""
    monkeypatch.setattr(os, "listdir", lambda path: LEFT)
    assert "that of this process, perhaps another one, has" in no_space()
    assert "ended" not in no_space()


def test_no_shared_memory_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may have none."""

    def usage(path: str) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert no_space().endswith("this process has none: No such file or directory")
