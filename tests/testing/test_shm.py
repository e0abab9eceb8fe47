"""Filling and tidying a node's /dev/shm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.testing import ClusterNode, _shm
from support.handles import wait_until


@pytest.fixture
def directory(node: ClusterNode) -> Iterator[int]:
    """The /dev/shm of a node without clients, left as it was."""
    wait_until(lambda: all("blackbox" in name for name in node.shm_files()))
    fd = os.open(f"/proc/{node.pid}/root/dev/shm", os.O_RDONLY)
    yield fd
    _shm.free(fd)
    os.close(fd)


def free_bytes(directory: int) -> int:
    there = os.fstatvfs(directory)
    return there.f_bfree * there.f_frsize


@pytest.mark.parametrize("leave", [0, 1 << 20])
def test_what_was_to_be_left_is_left(directory: int, leave: int) -> None:
    """To the page, also when some of it was taken already, and all is back afterwards."""
    before = free_bytes(directory)
    for _ in range(2):
        _shm.fill(directory, leave)
        assert free_bytes(directory) == leave
    _shm.free(directory)
    _shm.free(directory)
    assert free_bytes(directory) == before


def test_asking_for_more_room_than_there_was_takes_nothing(directory: int) -> None:
    """Then nothing needs to be filled."""
    before = free_bytes(directory)
    _shm.fill(directory, 1 << 40)
    assert free_bytes(directory) == before


def test_what_dead_daemons_left_is_removed(tmp_path: Path) -> None:
    """Ring buffers and blackbox files of another daemon go; ours stay, and so does what is not a daemon's."""
    for pid in (11, 12):
        (tmp_path / f"qb-{pid}-900-27-Xy").mkdir()
        (tmp_path / f"qb-{pid}-900-27-Xy" / "qb-event-cpg-data").touch()
        (tmp_path / f"qb-corosync-{pid}-blackbox-data").touch()
    (tmp_path / "mine").touch()
    directory = os.open(tmp_path, os.O_RDONLY)
    _shm.tidy(directory, 12)
    assert sorted(os.listdir(tmp_path)) == ["mine", "qb-12-900-27-Xy", "qb-corosync-12-blackbox-data"]
    assert _shm.files(directory) == ["mine", "qb-12-900-27-Xy/qb-event-cpg-data", "qb-corosync-12-blackbox-data"]
    os.close(directory)
