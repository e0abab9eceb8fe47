"""
Many groups in one process: ``python -m benchmarks.groups LOOP GROUPS SIZE SECONDS WARMUP``.

They are joined one after another, left alone for as long as a measurement takes, and then all flooded at once, each by
a task of its own and read by another. What a group costs is what the process has more of than before it joined them.
"""

from __future__ import annotations

import statistics
import sys
import time
from contextlib import AsyncExitStack

import anyio

import aiocpg

from .figures import Clock, Figures, resident, throughput_figures
from .workloads import Flood, print_figures, read_batches, send_batches


async def join_all(stack: AsyncExitStack, cpg: aiocpg.Connection, count: int) -> tuple[list[aiocpg.Group], list[float]]:
    """Join so many groups; return them, and how many seconds each took."""
    groups, took = [], []
    for number in range(count):
        started = time.perf_counter()
        groups.append(await stack.enter_async_context(cpg.join(f"benchmark-{number}")))
        took.append(time.perf_counter() - started)
    return groups, took


async def idle_share(seconds: float) -> float:
    """Do nothing for so long; return which share of a CPU it took."""
    start = Clock.now()
    await anyio.sleep(seconds)
    end = Clock.now()
    return (end.cpu - start.cpu) / (end.wall - start.wall)


async def flood_all(floods: list[Flood], seconds: float) -> int:
    """Flood all groups for so long; return how many messages went out and came back."""
    before = sum(flood.sent for flood in floods)
    async with anyio.create_task_group() as tasks:
        for flood in floods:
            tasks.start_soon(flood.run, send_batches, 1, seconds)
    return sum(flood.sent for flood in floods) - before


async def measure_flood(groups: list[aiocpg.Group], size: int, seconds: float, warmup: float) -> Figures:
    """Measure how many messages a second go out and come back in all of them together."""
    floods = [Flood(group, bytes(size)) for group in groups]
    async with anyio.create_task_group() as tasks:
        for flood in floods:
            tasks.start_soon(read_batches, flood)
        warmed = await flood_all(floods, warmup)
        start = Clock.now()
        messages = await flood_all(floods, seconds)
        end = Clock.now()
        tasks.cancel_scope.cancel()
    return throughput_figures(start, end, messages=messages, warmup_messages=warmed, size=size)


async def measure(count: int, size: int, seconds: float, warmup: float) -> Figures:
    """Measure so many groups: joining, doing nothing, and all that goes through them."""
    async with AsyncExitStack() as stack:
        cpg = await stack.enter_async_context(aiocpg.connect("corosync://"))
        before = resident()
        groups, took = await join_all(stack, cpg, count)
        memory = resident() - before
        idle = await idle_share(seconds)
        flood = await measure_flood(groups, size, seconds, warmup)
    return {**flood, "join_p50": statistics.median(took), "memory_per_group": memory / count, "idle_share": idle}


def main(loop: str, count: str, size: str, seconds: str, warmup: str) -> None:
    """Run one measurement and print its figures."""
    print_figures(loop, measure, int(count), int(size), float(seconds), float(warmup))


if __name__ == "__main__":
    main(*sys.argv[1:])
