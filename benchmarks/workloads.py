"""
One measurement of aiocpg in a process of its own: ``python -m benchmarks.workloads LOOP WORKLOAD SIZE SECONDS WARMUP``.

The process is the only member of its group, as the C reference is: it sends and receives its own messages. Senders
stop when the time is over; the measurement ends when the last copy is back, so every message counted was delivered.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import anyio

import aiocpg

from .figures import LATENCY, Clock, Figures, latency_figures, throughput_figures

LOOPS = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
BATCH_MESSAGES = 256
BATCH_BYTES = 512 * 1024
TASKS = 64


class Flood:
    """
    Counts what goes out and what comes back.

    Args:
        group: Where it is sent.
        payload: Each message.
        readers: How many get a copy of each.
    """

    def __init__(self, group: aiocpg.Group, payload: bytes, readers: int = 1) -> None:
        self.group = group
        self.payload = payload
        self._readers = readers
        self.end = 0.0
        self.sent = 0
        self.received = 0
        self._back: anyio.Event | None = None

    def got(self, messages: int) -> None:
        """Count messages that came back; wakes :meth:`all_back` at the last."""
        self.received += messages
        if self._back is not None and self._is_back():
            self._back.set()

    async def run(self, send: Sender, senders: int, seconds: float) -> int:
        """Have this many tasks send for so long; return how many messages went out, all of them back."""
        before = self.sent
        self.end = time.perf_counter() + seconds
        async with anyio.create_task_group() as tasks:
            for _ in range(senders):
                tasks.start_soon(send, self)
        await self._all_back()
        return self.sent - before

    async def _all_back(self) -> None:
        if not self._is_back():
            self._back = anyio.Event()
            await self._back.wait()
            self._back = None

    def _is_back(self) -> bool:
        return self.received == self.sent * self._readers


Sender: TypeAlias = Callable[[Flood], Coroutine[Any, Any, None]]
Reader: TypeAlias = Callable[[Flood], Coroutine[Any, Any, None]]


# Each sends once in any case: a machine that stands still for the whole time would measure nothing.


async def send_batches(flood: Flood) -> None:
    """Send many messages with each call."""
    batch = [flood.payload] * max(1, min(BATCH_MESSAGES, BATCH_BYTES // max(1, len(flood.payload))))
    while True:
        await flood.group.mcast_many(batch)
        flood.sent += len(batch)
        if time.perf_counter() >= flood.end:
            return


async def send_in_sequence(flood: Flood) -> None:
    """Send one message with each call."""
    while True:
        await flood.group.mcast(flood.payload)
        flood.sent += 1
        if time.perf_counter() >= flood.end:
            return


async def read_batches(flood: Flood) -> None:
    """Take all that is there at once."""
    async with flood.group.messages() as messages:
        while batch := await messages.receive_batch():
            flood.got(len(batch))


async def read_events(flood: Flood) -> None:
    """Read the group as its front page does."""
    async for event in flood.group:
        if isinstance(event, aiocpg.Message):
            flood.got(1)


FLOODS: dict[str, tuple[Sender, int, Reader]] = {
    "batches": (send_batches, 1, read_batches),
    "tasks": (send_in_sequence, TASKS, read_events),
    "sequence": (send_in_sequence, 1, read_events),
}
"""Workload -> how it sends, in how many tasks, and how it reads."""

WORKLOADS = (*FLOODS, LATENCY)


async def measure_flood(group: aiocpg.Group, workload: str, payload: bytes, seconds: float, warmup: float) -> Figures:
    """Measure how many messages a second go out and come back."""
    send, senders, read = FLOODS[workload]
    flood = Flood(group, payload)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read, flood)
        warmup_messages = await flood.run(send, senders, warmup)
        start = Clock.now()
        messages = await flood.run(send, senders, seconds)
        end = Clock.now()
        tasks.cancel_scope.cancel()
    return throughput_figures(start, end, messages=messages, warmup_messages=warmup_messages, size=len(payload))


async def measure_latency(group: aiocpg.Group, payload: bytes, seconds: float, warmup: float) -> Figures:
    """Measure how long a message takes to come back when it is alone."""
    async with group.messages() as messages:
        warmed = await _closed_loop(group, messages, payload, warmup)
        start = Clock.now()
        samples = await _closed_loop(group, messages, payload, seconds)
        end = Clock.now()
    return latency_figures(start, end, samples=samples, warmup_messages=len(warmed))


async def _closed_loop(
    group: aiocpg.Group, messages: aiocpg.Stream[aiocpg.Message], payload: bytes, seconds: float
) -> list[float]:
    samples: list[float] = []
    now = time.perf_counter()
    end = now + seconds
    while now < end or not samples:
        started = time.perf_counter()
        await group.mcast(payload)
        await anext(messages)
        now = time.perf_counter()
        samples.append(now - started)
    return samples


async def measure(workload: str, size: int, seconds: float, warmup: float) -> Figures:
    """Join a group on this node's daemon and measure one workload in it."""
    payload = bytes(size)
    async with aiocpg.connect("corosync://") as cpg, cpg.join(f"benchmark-{workload}") as group:
        if workload == LATENCY:
            return await measure_latency(group, payload, seconds, warmup)
        return await measure_flood(group, workload, payload, seconds, warmup)


def print_figures(loop: str, measuring: Callable[..., Coroutine[Any, Any, Figures | None]], *arguments: object) -> None:
    """Run one measurement in a loop of this kind and print its figures."""
    backend, options = LOOPS[loop]
    print(json.dumps(anyio.run(measuring, *arguments, backend=backend, backend_options=options)))


def main(loop: str, workload: str, size: str, seconds: str, warmup: str) -> None:
    """Run one measurement and print its figures."""
    print_figures(loop, measure, workload, int(size), float(seconds), float(warmup))


if __name__ == "__main__":
    main(*sys.argv[1:])
