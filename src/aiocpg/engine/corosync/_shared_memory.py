"""
How things stand in /dev/shm, for who is told that there is no space: as this process sees it, which is all it can see.

libqb makes a directory there for each connection, ``qb-DAEMON-CLIENT-FD-RANDOM``, and a daemon a file of its log,
``qb-corosync-DAEMON-blackbox-data``. What ends in order removes its own, a daemon that is killed removes nothing, and
nobody does it later.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from typing import NamedTuple

_HANDLE_BYTES = 3_300_000
"""What one handle takes in /dev/shm: three rings of 1 MiB and their headers, measured with libqb 2.0.6."""

_PATH = "/dev/shm"
_OF_A_DAEMON = re.compile(r"qb-(?:corosync-)?(?P<pid>\d+)-")


class Owned(NamedTuple):
    """What there is of daemons, by their pids."""

    is_daemons: bool
    """Whether something is of a corosync that runs: this is its /dev/shm, and its pids are ours."""
    entries: int
    """Files and directories."""
    left: int
    """Those of them whose daemon has ended; 0 where that cannot be told."""


def owned(names: Iterable[str], program: Callable[[int], str]) -> Owned:
    """
    Tell what is of daemons among names in /dev/shm.

    A pid in a name is one of the daemon's pid namespace. As long as none of them is a corosync here, ours may be
    another one, and what has ended there is not known here.

    Args:
        names: What there is.
        program: What runs as this pid; empty where nothing does.
    """
    programs = [program(int(found["pid"])) for name in names if (found := _OF_A_DAEMON.match(name))]
    is_daemons = "corosync" in programs
    return Owned(is_daemons, len(programs), programs.count("") if is_daemons else 0)


def no_space() -> str:
    """In words: that there is none, and where, as far as this process can tell."""
    takes = f"a handle takes {_HANDLE_BYTES}"
    try:
        free = f"{shutil.disk_usage(_PATH).free} bytes free"
        here = owned(os.listdir(_PATH), _program)
    except OSError as error:
        return f"no space in /dev/shm of the daemon ({takes}); this process has none: {error.strerror}"
    if not here.is_daemons:
        return f"no space in /dev/shm of the daemon ({takes}); that of this process, perhaps another one, has {free}"
    left = f"; {here.left} of the {here.entries} qb-* there are of daemons that have ended" if here.left else ""
    return f"no space in /dev/shm ({free}, {takes}){left}"


def _program(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm") as comm:
            return comm.read().rstrip("\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    except PermissionError:
        return "somebody else's"
