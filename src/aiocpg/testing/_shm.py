"""A node's /dev/shm, through a descriptor of the directory: what is in it, filling it, tidying it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil

_FILLER = "filler"
_OF_A_DAEMON = re.compile(r"qb-(?:corosync-)?(?P<pid>\d+)-")


def files(directory: int) -> list[str]:
    """All files in it, sorted."""
    walk = os.fwalk(".", dir_fd=directory)
    return sorted(os.path.normpath(os.path.join(folder, name)) for folder, _, names, _ in walk for name in names)


def fill(directory: int, leave: int) -> None:
    """Take all of it but `leave` bytes, rounded down to whole pages; calling again takes what has become free."""
    file = os.open(_FILLER, os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=directory)
    try:
        while True:
            there = os.fstatvfs(directory)
            size = os.fstat(file).st_size + (there.f_bfree - leave // there.f_frsize) * there.f_frsize
            os.ftruncate(file, min(size, os.fstat(file).st_size) if size > 0 else 0)
            if _allocated(file, size):
                return
    finally:
        os.close(file)


def _allocated(file: int, size: int) -> bool:
    """Reserve room for the file; False if others were quicker."""
    if size <= 0:
        return True
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return False
        raise
    return True


def free(directory: int) -> None:
    """Undo :func:`fill`; without one before it does nothing."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_FILLER, dir_fd=directory)


def has_client(directory: int, pid: int) -> bool:
    """Whether the ring buffers of a client, the process `pid`, are there."""
    return any(re.match(rf"qb-\d+-{pid}-", name) for name in os.listdir(directory))


def tidy(directory: int, pid: int | None) -> None:
    """Remove what daemons have left there that ended by force; that of the daemon `pid` stays."""
    for name in os.listdir(directory):
        found = _OF_A_DAEMON.match(name)
        if found and int(found["pid"]) != pid:
            _remove(directory, name)


def _remove(directory: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):  # its owner tidies as well
        try:
            os.unlink(name, dir_fd=directory)
        except IsADirectoryError:
            shutil.rmtree(name, dir_fd=directory)
