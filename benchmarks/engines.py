"""
All engines side by side, with Redis beside them: ``python -m benchmarks.engines [--rounds N] [--seconds S] ...``.

One process sends and reads what comes back, so each message goes to whoever orders it and returns. Measured are
messages a second, sent by hundreds, and the time of one message alone. The engines take turns in each round; medians
are printed, and ratios to the first. Corosync and Redis are started for the run; Redis is a publisher and a subscriber,
redis-py, pipelined by 100, and neither order nor membership.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import aiocpg
from aiocpg.testing import CorosyncCluster

HUNDRED = 100


class Channel(Protocol):
    """What all of them can do."""

    async def send(self, messages: list[bytes]) -> None:
        """Send these."""

    async def read(self) -> int:
        """Wait for what comes; how many messages."""


class GroupChannel:
    """A group of which we are a member."""

    def __init__(self, group: aiocpg.Group) -> None:
        self._group = group
        self._stream = group.messages()

    async def send(self, messages: list[bytes]) -> None:
        """In order, and in one call."""
        await self._group.mcast_many(messages)

    async def read(self) -> int:
        """What is there."""
        return len(await self._stream.receive_batch())


class RedisChannel:
    """A publisher and a subscriber."""

    def __init__(self, client: Any, subscriber: Any) -> None:
        self._client = client
        self._subscriber = subscriber

    async def send(self, messages: list[bytes]) -> None:
        """In one pipeline."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for message in messages:
                pipeline.publish("bench", message)
            await pipeline.execute()

    async def read(self) -> int:
        """One; redis-py has no batches."""
        while True:
            message = await self._subscriber.get_message(ignore_subscribe_messages=True, timeout=10)
            if message is not None:
                return 1


@asynccontextmanager
async def grouped(opening: AbstractAsyncContextManager[aiocpg.Connection]) -> AsyncIterator[Channel]:
    """A member of a group, by this connection."""
    async with opening as cpg, cpg.join("bench") as group:
        yield GroupChannel(group)


@asynccontextmanager
async def corosync() -> AsyncIterator[Channel]:
    """A daemon of its own."""
    async with CorosyncCluster(nodes=1) as cluster, grouped(cluster.node(1).connect()) as channel:
        yield channel


@asynccontextmanager
async def redis() -> AsyncIterator[Channel]:
    """A server of its own, on a Unix socket."""
    import redis.asyncio as client  # noqa: PLC0415 - only for who measures it

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "redis.socket")
        server = await asyncio.create_subprocess_exec(
            "redis-server", "--port", "0", "--unixsocket", str(path), "--save", "", stdout=subprocess.DEVNULL
        )
        try:
            while not path.exists():  # noqa: ASYNC110, ASYNC240 - nothing announces it, and it takes a moment
                await asyncio.sleep(0.01)
            async with client.Redis(unix_socket_path=str(path)) as one, one.pubsub() as subscriber:
                await subscriber.subscribe("bench")
                yield RedisChannel(one, subscriber)
        finally:
            server.terminate()
            await server.wait()


def memory() -> AbstractAsyncContextManager[Channel]:
    """A world of its own in this process."""
    return grouped(aiocpg.connect(f"memory://bench-{os.getpid()}"))


def local() -> AbstractAsyncContextManager[Channel]:
    """A broker of its own."""
    return grouped(aiocpg.connect(f"local://bench-{os.getpid()}"))


ALL: dict[str, Callable[[], AbstractAsyncContextManager[Channel]]] = {
    "corosync://": corosync,
    "local://": local,
    "memory://": memory,
    "redis": redis,
}


class Figures(NamedTuple):
    """Of one engine in one round."""

    rate: float
    """Messages a second."""
    latency: float
    """Median seconds of one message alone."""


async def measure(channel: Channel, size: int, seconds: float) -> Figures:
    """Measure once."""
    await throughput(channel, size, seconds / 10)
    rate = await throughput(channel, size, seconds)
    return Figures(rate, await latency(channel, size, seconds / 2))


async def throughput(channel: Channel, size: int, seconds: float) -> float:
    """Messages a second that have come back."""
    hundred = [bytes(size)] * HUNDRED
    sent = 0
    ended = asyncio.Event()

    async def send() -> None:
        nonlocal sent
        while not ended.is_set():
            await channel.send(hundred)
            sent += HUNDRED

    sender = asyncio.create_task(send())
    began = time.perf_counter()
    came = 0
    while time.perf_counter() - began < seconds:
        came += await channel.read()
    rate = came / (time.perf_counter() - began)
    ended.set()
    while not sender.done() or came < sent:  # what is still on its way would count for what comes next
        came += await channel.read() if came < sent else 0
        await asyncio.sleep(0)
    await sender
    return rate


async def latency(channel: Channel, size: int, seconds: float) -> float:
    """Median of the time of one message."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        await channel.send([bytes(size)])
        await channel.read()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


async def run(rounds: int, seconds: float, size: int) -> dict[str, list[Figures]]:
    """Measure all in turn, each round anew."""
    found: dict[str, list[Figures]] = {}
    for number in range(rounds):
        for name, opened in ALL.items():
            if name.startswith("redis") and not has_redis():
                continue
            async with opened() as channel:
                found.setdefault(name, []).append(await measure(channel, size, seconds))
            print(f"round {number + 1} of {rounds}: {name}", file=sys.stderr)
    return found


def has_redis() -> bool:
    """Whether there is a server and a client for it."""
    try:
        import redis.asyncio  # noqa: F401, PLC0415
    except ImportError:
        return False
    return shutil.which("redis-server") is not None


def show(found: dict[str, list[Figures]]) -> None:
    """Print medians, and ratios to the first."""
    medians = {name: Figures(*map(statistics.median, zip(*each, strict=True))) for name, each in found.items()}
    first = next(iter(medians.values()))
    print(f"{'':<16}{'messages/s':>12}{'ratio':>8}{'latency us':>12}{'ratio':>8}{'spread of rate':>18}")
    for name, one in medians.items():
        rates = sorted(each.rate for each in found[name])
        spread = f"{rates[0]:.0f} to {rates[-1]:.0f}"
        ratios = one.rate / first.rate, one.latency / first.latency
        print(f"{name:<16}{one.rate:>12.0f}{ratios[0]:>8.2f}{one.latency * 1e6:>12.0f}{ratios[1]:>8.2f}{spread:>18}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure everything, 5 unless given")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, 1 unless given")
    parser.add_argument("--size", type=int, default=64, help="bytes in a message, 64 unless given")
    arguments = parser.parse_args()
    if not has_redis():
        print(
            "without Redis: apt-get install redis-server, pip install redis; scripts/bench --engines does both",
            file=sys.stderr,
        )
    show(asyncio.run(run(arguments.rounds, arguments.seconds, arguments.size)))


if __name__ == "__main__":
    main()
