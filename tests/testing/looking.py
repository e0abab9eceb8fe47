"""How tests look at clusters from outside, and at what is left of one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiocpg.testing
from aiocpg.testing import ClusterNode

SOURCE = Path(aiocpg.testing.__file__).parents[2]
WAIT = 30
"""Seconds after which a test gives up."""


def output(node: ClusterNode, *argv: str) -> str:
    """What a program prints when it runs on the node."""
    return str(node.spawn(argv, stdout=subprocess.PIPE, text=True).communicate(timeout=WAIT)[0])


def joined(node: ClusterNode) -> set[int]:
    """The nodes on the ring as corosync itself tells, not as its log has it."""
    lines = [line.split() for line in output(node, "corosync-cmapctl", "runtime.members.").splitlines()]
    return {int(words[0].split(".")[2]) for words in lines if words[-1] == "joined"}


def namespaces(pid: int) -> tuple[str, str]:
    return os.readlink(f"/proc/{pid}/ns/net"), os.readlink(f"/proc/{pid}/ns/mnt")


def daemon_pid(node: ClusterNode) -> int:
    assert node.pid is not None
    return node.pid


def ends(pid: int) -> bool:
    """Whether the process is gone, or ends soon."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], WAIT)[0])
    finally:
        os.close(pidfd)


@contextmanager
def running(script: str, *prefix: str) -> Iterator[subprocess.Popen[str]]:
    """A test process of its own, which prints lines for us; killed at the end of the block."""
    argv = [*prefix, sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, env=environment, text=True, start_new_session=True) as process:
        try:
            yield process
        finally:
            process.kill()


def traces() -> set[str]:
    """
    What a cluster could leave in our namespaces: mounts, links, files.

    Other tests run beside ours, so it is by name and does not tell of what is none of a cluster's.
    """
    links = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, text=True, check=True).stdout
    netns = subprocess.run(["ip", "netns"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return {
        *(f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text().splitlines()),
        *(f"link {line.split(':')[1].strip()}" for line in links.splitlines()),
        *(f"netns {line}" for line in netns.splitlines()),
        *(f"shm {name}" for name in os.listdir("/dev/shm") if name.startswith("qb-")),
        *(f"state {name}" for name in os.listdir("/var/lib/corosync")),
    }


def residents(spaces: set[tuple[str, str]]) -> set[int]:
    """The processes that live in any of these namespaces."""
    found = set()
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        try:
            if namespaces(pid) in spaces:
                found.add(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or has more rights than we and so is none of ours
    return found
