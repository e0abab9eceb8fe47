"""
The least that a Python program can do: ``python -m benchmarks.bare LOOP WORKLOAD SIZE SECONDS WARMUP``.

It drives libcpg through the same C part as aiocpg, and does nothing else: no group, no order among tasks, no windows by
bytes, no readers, no cancellation, nothing lost that would be noticed. What it does not reach no library in Python can.
"""

from __future__ import annotations

import asyncio
import json
import select
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio

from aiocpg._state.sends import OVERHEAD, WINDOW
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN
from aiocpg.engine._libcpg import binding

from .figures import FLOOD, LATENCY, Clock, Figures, latency_figures, throughput_figures
from .workloads import BATCH_BYTES, BATCH_MESSAGES, LOOPS

BARE = "bare"
EACH = "one by one"
GROUP = b"benchmark-bare"


class Client:
    """One handle that has joined."""

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self._handle = binding.initialize()
        self.fd = binding.fd_get(self._handle)
        binding.join(self._handle, GROUP)
        self._guard = binding.Guard(self._handle, self.fd)
        self._arena = binding.Arena()
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        while not self.drain():
            self._poll.poll()

    def drain(self) -> int:
        """Take what is there; return how many events it was."""
        _, records = binding.drain(self._handle, self._arena, MAX_EVENTS_PER_DRAIN, MAX_BYTES_PER_DRAIN)
        return len(records)

    def drain_or_wait(self) -> int:
        """The same; where nothing is there it waits."""
        found = self.drain()
        if not found:
            self._poll.poll()
        return found

    def send(self) -> None:
        """Send one message, as soon as it is taken."""
        while self._guard.mcast(self.payload) != binding.Status.OK:
            time.sleep(0.001)

    def send_many(self, batch: list[bytes]) -> int:
        """Send some with one call; return how many were taken."""
        return self._guard.mcast_many(batch)[0]

    async def send_each(self, batch: list[bytes]) -> int:
        """Send some, each with a call that could be awaited; return how many were taken."""
        for taken, data in enumerate(batch):
            if not await self._one(data):
                return taken
        return len(batch)

    async def _one(self, data: bytes) -> bool:
        return self._guard.send(data, len(data)) == binding.Status.OK


async def flood(client: Client, seconds: float, *, each: bool) -> int:
    """
    Send for so long, in blocks, and receive all of it; return how many messages it was. It never needs the loop.

    With ``each`` every message has a call of its own, as where a program awaits each.
    """
    size = len(client.payload)
    batch = [client.payload] * max(1, min(BATCH_MESSAGES, BATCH_BYTES // max(1, size)))
    most = max(len(batch), WINDOW // (size + OVERHEAD))
    sent = received = 0
    end = time.perf_counter() + seconds
    while received < sent or not sent or time.perf_counter() < end:
        if (not sent or time.perf_counter() < end) and sent - received + len(batch) <= most:
            sent += await client.send_each(batch) if each else client.send_many(batch)
            received += client.drain()
        else:
            received += client.drain_or_wait()
    return sent


async def closed_loop(client: Client, seconds: float) -> list[float]:
    """Send one and wait for it, with a reader of the loop and a future: that is all a loop must do for it."""
    loop = asyncio.get_running_loop()
    back = loop.create_future()

    def readable() -> None:
        if client.drain() and not back.done():
            back.set_result(None)

    loop.add_reader(client.fd, readable)
    samples: list[float] = []
    now = time.perf_counter()
    end = now + seconds
    while now < end or not samples:
        started = time.perf_counter()
        back = loop.create_future()
        client.send()
        await back
        now = time.perf_counter()
        samples.append(now - started)
    loop.remove_reader(client.fd)
    return samples


async def measure(workload: str, size: int, seconds: float, warmup: float) -> Figures:
    """Measure one workload."""
    client = Client(bytes(size))
    if workload == LATENCY:
        warmed = await closed_loop(client, warmup)
        start = Clock.now()
        samples = await closed_loop(client, seconds)
        return latency_figures(start, Clock.now(), samples=samples, warmup_messages=len(warmed))
    each = workload == EACH
    warmup_messages = await flood(client, warmup, each=each)
    start = Clock.now()
    messages = await flood(client, seconds, each=each)
    return throughput_figures(start, Clock.now(), messages=messages, warmup_messages=warmup_messages, size=size)


def main(loop: str, workload: str, size: str, seconds: str, warmup: str) -> None:
    """Run one measurement and print its figures."""
    assert workload in (FLOOD, EACH, LATENCY)
    backend, options = LOOPS[loop]
    run: Callable[..., Coroutine[Any, Any, Figures]] = measure
    figures = anyio.run(
        run, workload, int(size), float(seconds), float(warmup), backend=backend, backend_options=options
    )
    print(json.dumps(figures))


if __name__ == "__main__":
    main(*sys.argv[1:])
