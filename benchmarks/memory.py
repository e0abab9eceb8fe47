"""
What a process keeps: ``python -m benchmarks.memory LOOP SIZE FIRST MORE SECONDS WARMUP``.

Its memory is taken when it has sent and received so many messages, and again after so many more. The second should not
be more than the first. The times are not used: it is done when it is done.
"""

from __future__ import annotations

import sys

import anyio

import aiocpg

from .figures import Figures, resident
from .workloads import BATCH_MESSAGES, Flood, print_figures, read_batches


async def send(flood: Flood, count: int) -> None:
    """Send at least so many messages, by whole batches."""
    while count > 0:
        await flood.group.mcast_many([flood.payload] * BATCH_MESSAGES)
        flood.sent += BATCH_MESSAGES
        count -= BATCH_MESSAGES


async def measure(size: int, first: int, more: int) -> Figures:
    """Measure the memory that is resident after the first messages and after the others."""
    async with aiocpg.connect("corosync://") as cpg, cpg.join("benchmark-memory") as group:
        flood = Flood(group, bytes(size))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_batches, flood)
            await flood.run(lambda flood: send(flood, first), 1, 0)
            early = resident()
            await flood.run(lambda flood: send(flood, more), 1, 0)
            late = resident()
            tasks.cancel_scope.cancel()
    return {"messages": flood.received, "resident_first": early, "resident_more": late, "growth": late - early}


def main(loop: str, size: str, first: str, more: str, *_times: str) -> None:
    """Run one measurement and print its figures."""
    print_figures(loop, measure, int(size), int(first), int(more))


if __name__ == "__main__":
    main(*sys.argv[1:])
