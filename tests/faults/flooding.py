"""A flood of messages past a process that does not read, and a look at everybody's memory meanwhile."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from aiocpg.testing import ClusterNode
from faults import programs
from faults.watching import Measured
from interop.c_member import Plan, compile_member, options_of, start_member
from support.handles import ended, heard

MIB = 1024 * 1024
BUDGET = 64 * MIB
SIZE = 1000
BATCH = 500
ATTEMPTS = 3
Flood = Callable[[ClusterNode, Path, int], Awaitable[None]]


async def flood_from_aiocpg(node: ClusterNode, directory: Path, count: int) -> None:
    """Send so many messages from this process."""
    async with node.connect() as cpg, cpg.join(b"flood", max_buffered_bytes=0) as group:
        batch = [bytes(SIZE)] * BATCH
        for _ in range(count // BATCH):
            await group.mcast_many(batch)
        await group.mcast_confirmed(b"last")


async def flood_from_c(node: ClusterNode, directory: Path, count: int) -> None:
    """Send so many messages from a C program that keeps the same window."""
    program = await anyio.to_thread.run_sync(compile_member, directory)
    options = options_of(Plan(count=count, size=SIZE), members=2, expected=count)
    await start_member(program, node, Path("/dev/null"), b"flood", *options, "--leave").finish()


FLOODS: dict[str, Flood] = {"from-aiocpg": flood_from_aiocpg, "from-c": flood_from_c}


async def flood_past_a_slow_reader(
    node: ClusterNode, flood: Flood, directory: Path, measured: Measured, count: int
) -> None:
    """
    Have a process join and not read, flood the group, and look at everybody's memory.

    A reader that the machine does not run for a second lets Corosync grow, too, so there are some attempts.
    """
    for attempt in range(ATTEMPTS):
        if attempt:
            await _with_another_daemon(node)
        if await _grows_with_a_flood(node, flood, directory, measured, count) < 32 * MIB:
            return
    raise AssertionError(f"corosync grew by more than 32 MiB, {ATTEMPTS} times")


async def _with_another_daemon(node: ClusterNode) -> None:
    """What one has taken it keeps, and would fill again without growing."""
    node.kill()
    await node.until_gone()
    node.start()
    await node.until_ready()


async def _grows_with_a_flood(
    node: ClusterNode, flood: Flood, directory: Path, measured: Measured, count: int
) -> float:
    """Do it once; check what the reader says, and return by how much Corosync has grown, in bytes."""
    with ended(programs.start(node, "slow_reader")) as reader:
        await anyio.to_thread.run_sync(heard, reader, "ready")
        before = time.monotonic()
        async with watching_rss(node) as peak:
            await flood(node, directory, count)
            measured("messages per second", count / (time.monotonic() - before), "/s")
            found = await ask(reader)
        measured("growth of corosync", peak() / MIB, "MiB")
        measured("memory of the reader at its peak", found["peak"] / MIB, "MiB")
        measured("messages lost to the reader", found["lost"], "")
    check(found, count)
    return peak()


async def ask(reader: subprocess.Popen[str]) -> dict[str, Any]:
    """Tell the program to read, and return what it says."""
    reader.stdin.write("read\n")
    reader.stdin.flush()
    line = await anyio.to_thread.run_sync(reader.stdout.readline, abandon_on_cancel=True)
    assert line, reader.stderr.read()
    return dict(json.loads(line))


def check(found: dict[str, Any], count: int) -> None:
    """Compare what the reader says with what must be."""
    assert found["limit"] == BUDGET
    assert found["peak"] < BUDGET + 64 * MIB
    assert found["in order"]
    assert 0 < found["held"] * (SIZE + 256) - BUDGET + SIZE < BUDGET / 10
    assert found["held"] + found["lost"] >= count
    assert found["after"] == ["ConfigurationChange", "View"]
    assert found["members"] == 1
    assert found["last"] == "to be read"


@asynccontextmanager
async def watching_rss(node: ClusterNode) -> AsyncIterator[Callable[[], int]]:
    """Look at the daemon's memory all the time; gives how far it has grown at the most."""
    before = peak = node.rss

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, node.rss)
            await anyio.sleep(0.05)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        yield lambda: peak - before
        tasks.cancel_scope.cancel()
