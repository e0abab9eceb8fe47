"""
How many messages a second, size by size: ``python examples/evs_bench.py [--quick]``.

What Corosync's own ``test/evsbench`` did with ``corosync/evs.h``: messages of 1 byte, then of 1000 more, up to some
224 kB, ten seconds each, by one sender that also reads them. Started on several nodes, all share the ring.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress

from aiocpg import Guarantee, evs

SIZES = range(1, 225_000, 1000)
QUICK_SIZES, QUICK_SECONDS = (1, 1001, 10_001, 100_001, 224_001), 0.2


async def read(handle: evs.Evs) -> None:
    """Take whatever comes."""
    events = handle.events()
    while await events.receive_batch():
        pass


async def measure(handle: evs.Evs, payload: bytes, guarantee: Guarantee, seconds: float) -> tuple[int, float]:
    """Send for so long; return how many came back, and in how many seconds."""
    number = 0
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        last = await handle.mcast_joined(payload, guarantee=guarantee)
        number += 1
    await last.delivered()
    return number, time.perf_counter() - start


async def main(url: str | None, guarantee: Guarantee, sizes: Iterable[int], seconds: float) -> None:
    """One line for each size."""
    # From the inside out: the handle is closed, then the reader reads to its end.
    async with asyncio.TaskGroup() as tasks, evs.connect(url, domain="evsbench") as handle:
        await handle.join("key1")
        tasks.create_task(read(handle))
        members = handle.membership_get().members
        print(f"{guarantee.name}, {len(members)} in the domain", flush=True)
        for size in sizes:
            number, took = await measure(handle, bytes(size), guarantee, seconds)
            rate = number / took
            print(f"{size:7} bytes {rate:10.0f} messages/s {rate * size / 1e6:10.2f} MB/s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Messages a second, size by size.")
    parser.add_argument("--url", help="which engine; $AIOCPG_URL or corosync:// unless given")
    parser.add_argument("--guarantee", choices=[guarantee.name for guarantee in Guarantee], default="AGREED")
    parser.add_argument("--seconds", type=float, default=10, help="for each size")
    parser.add_argument("--quick", action="store_true", help="five sizes, 0.2 seconds each")
    given = parser.parse_args()
    chosen = (QUICK_SIZES, QUICK_SECONDS) if given.quick else (SIZES, given.seconds)
    with suppress(KeyboardInterrupt):
        asyncio.run(main(given.url, Guarantee[given.guarantee], *chosen))
