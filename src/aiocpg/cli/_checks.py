"""What ``aiocpg doctor`` looks at on the machine, apart from the connection: files, processes, programs."""

from __future__ import annotations

import os
import re
import shutil
from typing import NamedTuple

import anyio

_HANDLE_SHM_BYTES = 3_300_000
"""What a connection or a group takes in /dev/shm, see the page on limits."""


class Finding(NamedTuple):
    """What a check has found."""

    check: str
    state: str
    """``ok``, ``problem``, or ``unknown`` where nothing could be found out."""
    text: str
    cure: str = ""


def libcpg() -> Finding:
    """Whether libcpg is loaded into this process, which has tried to use it, and from which file."""
    with open("/proc/self/maps") as maps:
        found = re.search(r"\S*/libcpg\.so\S*", maps.read())
    if found:
        return Finding("libcpg", "ok", found[0])
    cure = (
        "install Corosync (Debian: apt-get install corosync); where the daemon is outside, its client library does "
        "(libcpg4), of the daemon's version"
    )
    return Finding("libcpg", "problem", "libcpg.so.4 cannot be loaded", cure)


def is_listening() -> bool:
    """Whether a process listens on Corosync's socket in this network namespace."""
    with open("/proc/net/unix") as sockets:
        # The kernel shows NULs as @, the one in front and those that fill the name up.
        return any(line.split()[-1].rstrip("@") == "@cpg" for line in sockets)


def shared_memory() -> Finding:
    """Whether there is space for another connection and a group."""
    try:
        free = shutil.disk_usage("/dev/shm").free
    except OSError as error:
        return Finding("shm", "problem", f"/dev/shm: {error.strerror}", "mount a tmpfs there, the daemon's own")
    text = f"/dev/shm has {free >> 20} MiB free, enough for {free // _HANDLE_SHM_BYTES} connections and groups"
    if free >= 2 * _HANDLE_SHM_BYTES:
        return Finding("shm", "ok", text)
    cure = (
        "enlarge it (mount -o remount,size=1G /dev/shm; docker run --shm-size), or remove what killed daemons have "
        "left there"
    )
    return Finding("shm", "problem", text, cure)


async def version() -> Finding:
    """The version of the daemon that is installed."""
    said = await _said(["corosync", "-v"])
    found = re.search(r"version '([^']+)'", said)
    if found:
        return Finding("version", "ok", f"corosync {found[1]} is installed")
    return Finding("version", "unknown", "the program corosync is not installed here, or not in the path")


async def _said(argv: list[str]) -> str:
    """All that a program of the system prints, within 5 s; nothing where it is not there."""
    program = shutil.which(argv[0], path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if program is None:
        return ""
    with anyio.move_on_after(5):
        done = await anyio.run_process([program, *argv[1:]], check=False, stderr=-2)
        return done.stdout.decode(errors="replace")
    return f"{argv[0]} does not answer"
