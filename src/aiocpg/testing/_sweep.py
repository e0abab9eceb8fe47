"""
Killing what runs on the nodes of a cluster, whoever started it: the cluster's own at its end, and what an earlier one
could not.

Programs that tests start on nodes are children of the test process, and theirs are anybody's, so nothing ends them by
itself. They are known by their network namespace while the cluster lives. Where all of its processes were killed at
once, a later cluster finds them by a file that stands in each node's /run and names the process that answered for it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

Identity = tuple[int, int]
"""What tells one namespace from another while something lives in it."""

_MARK = "run/corosync-test.owner"
_MARK_SIZE = 200
"""Bytes; no mark is longer."""

_PATIENCE = 10.0
"""Seconds that killed processes have to end."""


def identity(fd_or_path: int | str) -> Identity:
    """Of the namespace behind a descriptor or path."""
    status = os.stat(fd_or_path)
    return status.st_dev, status.st_ino


def mark(owner: int) -> None:
    """Write into the /run of this mount namespace that the process `owner` answers for it."""
    with open(f"/{_MARK}", "w") as file:
        file.write(_self_description(owner))


def kill_inside(namespaces: Iterable[tuple[int, ...]], between: Callable[[], object] = lambda: None) -> None:
    """SIGKILL every process in these network namespaces until there is none; `between` runs after each round."""
    wanted = set(namespaces)
    deadline = time.monotonic() + _PATIENCE
    while _kill(lambda pid: identity(f"/proc/{pid}/ns/net") in wanted) and time.monotonic() < deadline:
        between()
        time.sleep(0.001)


def kill_abandoned() -> None:
    """SIGKILL every process on a node whose owner has ended without being able to."""
    deadline = time.monotonic() + _PATIENCE
    while _kill(_is_abandoned) and time.monotonic() < deadline:
        time.sleep(0.001)


def _is_abandoned(pid: int) -> bool:
    # It may be anything where somebody else has a /run of his own: a pipe would let us wait, a device have no end.
    fd = os.open(f"/proc/{pid}/root/{_MARK}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        said = os.read(fd, _MARK_SIZE).decode()
    finally:
        os.close(fd)
    owner, _, namespace = said.split()
    # Numbers of another pid namespace, as in a container, say nothing here.
    return namespace == _pid_namespace() and said != _self_description(int(owner))


def _self_description(pid: int) -> str:
    """The process with its start time, for pids are used again; it is another text once the process has ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state, *fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else f"{pid} {fields[18]} {_pid_namespace()}"


def _pid_namespace() -> str:
    return "{}:{}".format(*identity("/proc/self/ns/pid"))


def _kill(condition: Callable[[int], bool]) -> int:
    """SIGKILL every process for which it holds; returns how many there were."""
    killed = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            killed += _kill_if(int(name), condition)
    return killed


def _kill_if(pid: int, condition: Callable[[int], bool]) -> bool:
    """The pidfd comes first, so that what is looked at and what is hit are the same process."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:  # it has ended
        return False
    try:
        if not condition(pid):
            return False
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        return True
    except (OSError, ValueError):  # it has ended, has more rights than we, or no such file: it is none of ours
        return False
    finally:
        os.close(pidfd)
