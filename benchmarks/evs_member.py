"""
One process of a domain: ``python -m benchmarks.evs_member LOOP WORKLOAD SIZE MEMBERS SECONDS WARMUP``.

It waits until so many members are there, measures, and prints its figures. With the workload ``idle`` it is one of the
others: it reads, acknowledges, and ends with its standard input.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.to_thread

from aiocpg import Guarantee, evs

from .figures import Clock, Figures, latency_figures, throughput_figures
from .workloads import print_figures

GROUP = "bench"
CALLS_BETWEEN_LOOKS = 32
"""Sends between two looks at the clock."""


class Member:
    """A handle, and what has come to it."""

    def __init__(self, handle: evs.Evs, size: int) -> None:
        self._evs = handle
        self._payload = bytes(size)
        self._sent = 0
        self._received = 0
        self._arrived = anyio.Event()

    async def read(self) -> None:
        """Count what comes, until the handle is closed."""
        events = self._evs.events()
        while batch := await events.receive_batch():
            self._received += sum(type(event) is evs.Delivery for event in batch)
            self._arrived.set()

    async def until_back(self) -> None:
        """Wait until all that was sent has come."""
        while self._received < self._sent:
            self._arrived = anyio.Event()
            await self._arrived.wait()

    async def flood(self, guarantee: Guarantee, seconds: float) -> int:
        """Send for so long; return how many messages went out and have come back."""
        before, end = self._sent, time.perf_counter() + seconds
        send, payload = self._evs.mcast_joined, self._payload
        while self._sent == before or time.perf_counter() < end:
            for _ in range(CALLS_BETWEEN_LOOKS):
                await send(payload, guarantee=guarantee)
            self._sent += CALLS_BETWEEN_LOOKS
        await self.until_back()
        return self._sent - before

    async def alone(self, guarantee: Guarantee, seconds: float) -> list[float]:
        """Send one and wait until it is delivered here, for so long; return how long each took."""
        samples: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or not samples:
            started = time.perf_counter()
            await self._evs.mcast_joined(self._payload, guarantee=guarantee)
            self._sent += 1
            await self.until_back()
            samples.append(time.perf_counter() - started)
        return samples


async def measure_flood(member: Member, guarantee: Guarantee, seconds: float, warmup: float, size: int) -> Figures:
    """Measure how many messages a second are sent and delivered."""
    warmed = await member.flood(guarantee, warmup)
    start = Clock.now()
    messages = await member.flood(guarantee, seconds)
    return throughput_figures(start, Clock.now(), messages=messages, warmup_messages=warmed, size=size)


async def measure_alone(member: Member, guarantee: Guarantee, seconds: float, warmup: float, size: int) -> Figures:
    """Measure how long a message takes when it is alone."""
    warmed = await member.alone(guarantee, warmup)
    start = Clock.now()
    samples = await member.alone(guarantee, seconds)
    return latency_figures(start, Clock.now(), samples=samples, warmup_messages=len(warmed))


Measure = Callable[[Member, Guarantee, float, float, int], Coroutine[Any, Any, Figures]]

WORKLOADS: dict[str, tuple[Measure, Guarantee]] = {
    "agreed": (measure_flood, Guarantee.AGREED),
    "safe": (measure_flood, Guarantee.SAFE),
    "unordered": (measure_flood, Guarantee.UNORDERED),
    "lone agreed": (measure_alone, Guarantee.AGREED),
    "lone safe": (measure_alone, Guarantee.SAFE),
}


async def run(workload: str, size: int, members: int, seconds: float, warmup: float) -> Figures | None:
    """Be a member; return what was measured, None for one of the others."""
    async with evs.connect("corosync://", domain="benchmark") as handle:
        await handle.join(GROUP)
        events = handle.events()
        while len(handle.membership_get().members) < members:
            await anext(events)
        member = Member(handle, size)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(member.read)
            if workload == "idle":
                await anyio.to_thread.run_sync(sys.stdin.read)
                figures = None
            else:
                measure, guarantee = WORKLOADS[workload]
                figures = await measure(member, guarantee, seconds, warmup, size)
            tasks.cancel_scope.cancel()
        return figures


def main(loop: str, workload: str, size: str, members: str, seconds: str, warmup: str) -> None:
    """Run one measurement and print its figures."""
    print_figures(loop, run, workload, int(size), int(members), float(seconds), float(warmup))


if __name__ == "__main__":
    main(*sys.argv[1:])
