"""
Where the sockets of ``local://`` are: one directory per user, nobody else's to look into.

Not under XDG_RUNTIME_DIR, nor where TMPDIR says: a login has them and a service has not, and one name must not mean two
worlds.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aiocpg.errors import EngineUnavailableError, UsageError

VARIABLE = "AIOCPG_LOCAL_DIR"

_MAX_PATH = 107
"""Bytes that the path of a Unix socket has (unix(7)), without the NUL."""


class Files(NamedTuple):
    """The files of one world."""

    socket: Path
    lock: Path
    """Locked by the broker while it lives; says its pid."""
    log: Path


def directory() -> Path:
    """
    Where the sockets are; nothing is made there.

    Raises:
        UsageError: $AIOCPG_LOCAL_DIR is no absolute path, and would lead elsewhere from each place.
    """
    given = os.environ.get(VARIABLE)
    if not given:
        return Path("/tmp") / f"aiocpg-{os.geteuid()}"
    if not os.path.isabs(given):
        raise UsageError(f"${VARIABLE} is an absolute path, or processes would not meet, not {given!r}")
    return Path(given)


def files(name: str) -> Files:
    """
    The files of a world.

    Raises:
        UsageError: The path is longer than a socket's may be, or no absolute one.
    """
    where = directory()
    found = Files(where / f"{name}.socket", where / f"{name}.lock", where / f"{name}.log")
    if len(os.fsencode(found.socket)) > _MAX_PATH:
        raise UsageError(f"{found.socket} has more than {_MAX_PATH} bytes: take a shorter name, or ${VARIABLE}")
    return found


def prepare() -> None:
    """
    Make the directory if there is none, and look whether it is ours alone.

    Raises:
        EngineUnavailableError: It is not, or cannot be made.
    """
    where = directory()
    try:
        with suppress(FileExistsError):
            where.mkdir(mode=0o700)
        found = where.lstat()
    except OSError as error:
        raise EngineUnavailableError(f"{where}: {error.strerror}", f"make it, or set ${VARIABLE}") from error
    if wrong := _wrong(found):
        raise EngineUnavailableError(
            f"{where} {wrong}", f"mend or remove it, or set ${VARIABLE} to a directory of yours"
        )


def _wrong(found: os.stat_result) -> str:
    if not stat.S_ISDIR(found.st_mode):
        return "is a link or a file, and a directory is needed"
    if found.st_uid != os.geteuid():
        return f"belongs to uid {found.st_uid}, not to {os.geteuid()}"
    if mode := stat.S_IMODE(found.st_mode) & 0o077:
        return f"is open to others (mode {mode | stat.S_IMODE(found.st_mode):o}, not 700)"
    return ""
