"""How a daemon's log is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.testing._log import DaemonLog

RING = "Nov 23 01:49:39.688 [1] vm corosync notice  [QUORUM] Sync members[3]: 1 3 12\n"
SYNCED = "01:49:39.690 [1] vm corosync notice  [MAIN  ] Completed service synchronization, ready to provide service.\n"


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_a_ring_is_known_when_its_lines_are_whole(directory: int, tmp_path: Path) -> None:
    """A line that is half written is waited for."""
    log = DaemonLog(directory, "log")
    with open(tmp_path / "log", "w") as file:
        for piece, members, is_synced in [
            (RING[:-4], (), False),
            (RING[-4:], (1, 3, 12), False),
            (SYNCED, (1, 3, 12), True),
            (RING, (1, 3, 12), False),
        ]:
            file.write(piece)
            file.flush()
            log.follow()
            assert (log.members, log.is_synced) == (members, is_synced)


def test_a_ring_is_forgotten_when_the_daemon_restarts(directory: int, tmp_path: Path) -> None:
    """What an earlier run of the daemon saw says nothing about the next."""
    log = DaemonLog(directory, "log")
    (tmp_path / "log").write_text(RING + SYNCED)
    log.restart()
    log.follow()
    assert (log.members, log.is_synced) == ((), False)
    assert log.text() == RING + SYNCED


def test_the_text_is_kept_when_closed(directory: int, tmp_path: Path) -> None:
    """A report may come after the cluster."""
    log = DaemonLog(directory, "log")
    assert log.text() == ""
    (tmp_path / "log").write_text(RING)
    log.close()
    (tmp_path / "log").unlink()
    log.follow()
    assert log.text() == RING
