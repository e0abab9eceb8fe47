"""
All engines side by side, and brokers beside them: ``python -m benchmarks.engines [--rounds N] [--seconds S] ...``.

One process sends and reads what comes back, so each message goes to whoever orders it and returns. Measured are
messages a second, sent by hundreds, and the time of one message alone. The engines take turns in each round; medians
are printed, and ratios to the first. Corosync, Redis and NATS are started for the run. Nothing is pinned: some of the
engines are processes beside the client, and one is inside it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiocpg
from aiocpg import evs
from aiocpg.testing import CorosyncCluster

from . import brokers, command
from .bench import Bench
from .brokers import Channel
from .figures import Clock, Figures, Measurement, latency_figures, throughput_figures

HUNDRED = 100
SIZE = 64


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


class DomainChannel:
    """A handle of a domain: what is sent in one turn of the loop travels together."""

    def __init__(self, handle: evs.Evs) -> None:
        self._evs = handle
        self._stream = handle.events()

    async def send(self, messages: list[bytes]) -> None:
        """In order, each a message of its own."""
        for message in messages:
            await self._evs.mcast_joined(message)

    async def read(self) -> int:
        """What is there."""
        while True:
            batch = await self._stream.receive_batch()
            if found := sum(type(event) is evs.Delivery for event in batch):
                return found


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
async def domain() -> AsyncIterator[Channel]:
    """A daemon of its own, and a domain of one member."""
    async with (
        CorosyncCluster(nodes=1) as cluster,
        cluster.node(1).connect() as cpg,
        evs.connect(connection=cpg, groups=["bench"]) as handle,
    ):
        yield DomainChannel(handle)


def memory() -> AbstractAsyncContextManager[Channel]:
    """A world of its own in this process."""
    return grouped(aiocpg.connect(f"memory://bench-{os.getpid()}"))


def local() -> AbstractAsyncContextManager[Channel]:
    """A broker of its own."""
    return grouped(aiocpg.connect(f"local://bench-{os.getpid()}"))


ALL: dict[str, Callable[[], AbstractAsyncContextManager[Channel]]] = {
    "corosync://": corosync,
    "evs over corosync://": domain,
    "local://": local,
    "memory://": memory,
    "redis": brokers.redis,
    "nats": brokers.nats,
}

ANCHOR = next(iter(ALL))


def found() -> list[str]:
    """Return the names of those that are installed."""
    return [name for name in ALL if name not in brokers.BROKERS or brokers.BROKERS[name].is_there()]


def measure(bench: Bench, number: int) -> Iterator[Measurement]:
    """Measure all in turn."""
    return measure_all(number, SIZE, bench.settings.seconds, bench.tell)


def measure_all(number: int, size: int, seconds: float, tell: Callable[[str], None]) -> Iterator[Measurement]:
    """Yield throughput and latency of each that is installed."""
    for line in brokers.missing() if number == 1 else ():
        tell(line)
    for name in found():
        tell(name)
        rate, alone = asyncio.run(measure_one(name, size, seconds))
        for section, workload, figures in (("engines", "by hundreds", rate), ("engines latency", "alone", alone)):
            beside = f"{ANCHOR} {workload}"
            yield Measurement(number, section, name, workload, size, pinned=False, figures=figures, beside=beside)


async def measure_one(name: str, size: int, seconds: float) -> tuple[Figures, Figures]:
    """Measure one engine: throughput, then latency."""
    async with ALL[name]() as channel:
        warmed = await flood(channel, size, seconds / 10)
        start = Clock.now()
        messages = await flood(channel, size, seconds)
        rate = throughput_figures(start, Clock.now(), messages=messages, warmup_messages=warmed, size=size)
        start = Clock.now()
        samples = await closed_loop(channel, size, seconds / 2)
        return rate, latency_figures(start, Clock.now(), samples=samples, warmup_messages=0)


async def flood(channel: Channel, size: int, seconds: float) -> int:
    """Send by hundreds for so long; return how many messages went out, all of them back."""
    hundred = [bytes(size)] * HUNDRED
    end = time.perf_counter() + seconds
    sent = came = 0

    async def send() -> None:
        nonlocal sent
        while not sent or time.perf_counter() < end:
            await channel.send(hundred)
            sent += HUNDRED
            await asyncio.sleep(0)  # a send that need not wait would keep the reader out

    sender = asyncio.create_task(send())
    while not sender.done() or came < sent:
        came += await channel.read() if came < sent else 0
        await asyncio.sleep(0)
    await sender
    return sent


async def closed_loop(channel: Channel, size: int, seconds: float) -> list[float]:
    """Return the times that messages took, one after another."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        began = time.perf_counter()
        await channel.send([bytes(size)])
        await channel.read()
        times.append(time.perf_counter() - began)
    return times


def main(arguments: list[str]) -> int:
    """Measure, print the table, write the file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engines", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure everything, 5 unless given")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, 1 unless given")
    parser.add_argument("--size", type=int, default=SIZE, help="bytes in a message, 64 unless given")
    command.add_json(parser)
    given = parser.parse_args(arguments)
    settings = {"rounds": given.rounds, "seconds": given.seconds, "size": given.size, "sched_rr": False}

    def run() -> list[Measurement]:
        return [
            one
            for number in range(1, given.rounds + 1)
            for one in measure_all(number, given.size, given.seconds, command.tell)
        ]

    return command.measure_and_report(settings, run, given.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
