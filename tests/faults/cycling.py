"""Joining and leaving over and over, and what a process holds meanwhile."""

from __future__ import annotations

import asyncio
import gc
import os
import threading

import anyio
import trio

from aiocpg import Connection
from aiocpg.testing import ClusterNode
from faults.watching import PATIENCE
from support.loops import running_loop


async def cycle(cpg: Connection, times: int) -> None:
    """Join, send, read and leave."""
    for number in range(times):
        async with cpg.join(b"cycle") as group:
            messages = group.messages()
            await group.mcast(b"%d" % number)
            assert (await anext(messages)).data == b"%d" % number


async def sessions(node: ClusterNode, times: int) -> None:
    """Connect, join, and close."""
    for _ in range(times):
        async with node.connect() as cpg:
            await cpg.join(b"session")


class Footprint:
    """
    What this process and the daemon hold now.

    Attributes:
        counts: Tasks, threads, descriptors here and in the daemon, and files in /dev/shm.
        memory: Resident bytes of this process.
        daemon: Resident bytes of the daemon.
    """

    def __init__(self, node: ClusterNode) -> None:
        gc.collect()
        self.counts = {
            "tasks": _tasks(),
            "threads": sum(thread.name.startswith("aiocpg") for thread in threading.enumerate()),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "shared files": len(node.shm_files()),
            "descriptors of the daemon": len(os.listdir(f"/proc/{node.pid}/fd")),
        }
        with open("/proc/self/statm") as statm:
            self.memory = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        self.daemon = node.rss

    def more_than(self, before: Footprint) -> dict[str, int]:
        """Return what is more than it was. Less is well: something was still on its way out then."""
        counts = {name: count - before.counts[name] for name, count in self.counts.items()}
        return {name: count for name, count in counts.items() if count > 0}

    async def settled(self, node: ClusterNode) -> Footprint:
        """Return a new footprint, once it is as small as this one or patience has ended: threads and files go last."""
        now = Footprint(node)
        with anyio.move_on_after(PATIENCE):
            while now.more_than(self):
                await anyio.sleep(0.05)
                now = Footprint(node)
        return now


def _tasks() -> int:
    if running_loop() == "trio":
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())
