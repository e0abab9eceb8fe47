"""
Many readers of one group: ``python -m benchmarks.iterators LOOP READERS HOW SIZE SECONDS WARMUP``.

Each reader has an iterator of its own and gets every message; a message counts once, when the last of them has it.
HOW is ``batches`` for ``receive_batch()`` or ``one by one`` for ``async for``.
"""

from __future__ import annotations

import sys

import anyio

import aiocpg

from .figures import Clock, Figures, throughput_figures
from .workloads import Flood, Reader, print_figures, send_batches


async def read_batches(flood: Flood) -> None:
    """Take all that is there at once."""
    async with flood.group.events() as events:
        while batch := await events.receive_batch():
            flood.got(sum(type(event) is aiocpg.Message for event in batch))


async def read_one_by_one(flood: Flood) -> None:
    """Take one event at a time."""
    async with flood.group.events() as events:
        async for event in events:
            if type(event) is aiocpg.Message:
                flood.got(1)


READERS: dict[str, Reader] = {"batches": read_batches, "one by one": read_one_by_one}


async def measure(readers: int, how: str, size: int, seconds: float, warmup: float) -> Figures:
    """Measure how many messages a second go out and come back to all readers."""
    async with aiocpg.connect("corosync://") as cpg, cpg.join("benchmark-iterators") as group:
        flood = Flood(group, bytes(size), readers)
        async with anyio.create_task_group() as tasks:
            for _ in range(readers):
                tasks.start_soon(READERS[how], flood)
            await anyio.wait_all_tasks_blocked()  # an iterator begins where it is made
            warmed = await flood.run(send_batches, 1, warmup)
            start = Clock.now()
            messages = await flood.run(send_batches, 1, seconds)
            end = Clock.now()
            tasks.cancel_scope.cancel()
    return throughput_figures(start, end, messages=messages, warmup_messages=warmed, size=size)


def main(loop: str, readers: str, how: str, size: str, seconds: str, warmup: str) -> None:
    """Run one measurement and print its figures."""
    print_figures(loop, measure, int(readers), how, int(size), float(seconds), float(warmup))


if __name__ == "__main__":
    main(*sys.argv[1:])
