"""``aiocpg bench``: a short measurement of this cluster, from one member's place."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import anyio
import typer

from aiocpg import Group, Message, MessageTooBigError, Stream, connect

from ._options import AsJson, Url
from ._output import Output
from ._records import Record
from ._running import run

_BATCH_BYTES = 256 * 1024
"""What one call of mcast_many is given, and at most 64 messages."""

Tick = Callable[[], None]


def bench(
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each of the two measurements takes.")] = 3,
    size: Annotated[int, typer.Option(min=0, help="Bytes of payload in a message.")] = 1000,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Measure rate and latency, for some seconds.

    In a group of its own, alone: mcast_many and receive_batch as fast as they go, then mcast_confirmed one after the
    other. It loads the cluster while it runs.
    """

    async def measuring(out: Output) -> None:
        async with connect(url) as cpg:
            if size > cpg.max_message_size:
                raise MessageTooBigError(size, cpg.max_message_size)
            name = f"aiocpg.bench.{os.getpid()}.{secrets.token_hex(4)}"
            with _progress(2 * seconds) as tick:
                async with cpg.join(name, max_buffered_bytes=0) as group:
                    rate = await _throughput(group, bytes(size), seconds, tick)
                    latency = await _latency(group, bytes(size), seconds, tick)
        record: Record = {"event": "bench", "nodeid": cpg.nodeid, "size": size, "seconds": seconds, **rate, **latency}
        rows = [(name.replace("_", " "), f"{value:,}") for name, value in (rate | latency).items()]
        await out.tell_table([record], ("measure", "value"), rows)

    run(measuring, as_json=as_json)


async def _throughput(group: Group, payload: bytes, seconds: float, tick: Tick) -> Record:
    """Send for so long; count what comes back until all has."""
    messages = group.messages()
    batch = [payload] * max(1, min(64, _BATCH_BYTES // max(1, len(payload))))
    began = time.perf_counter()
    sent = 0
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_drain, messages)
        while not sent or time.perf_counter() - began < seconds:
            await group.mcast_many(batch)
            sent += len(batch)
            tick()
        # Behind all others in the order: when it is back, they are.
        await group.mcast_confirmed(b"")
        took = time.perf_counter() - began
        tasks.cancel_scope.cancel()
    await messages.aclose()
    return {"messages_per_second": round(sent / took), "bytes_per_second": round(sent * len(payload) / took)}


async def _drain(messages: Stream[Message]) -> None:
    while await messages.receive_batch():
        pass


async def _latency(group: Group, payload: bytes, seconds: float, tick: Tick) -> Record:
    """Send one after the other for so long; tell how long each took, in milliseconds."""
    times: list[float] = []
    until = time.perf_counter() + seconds
    # Once in any case: a machine may hold us up for longer than the whole measurement takes.
    while (began := time.perf_counter()) < until or not times:
        await group.mcast_confirmed(payload)
        times.append((time.perf_counter() - began) * 1000)
        tick()
    times.sort()
    places = {"min": 0.0, "median": 0.5, "p99": 0.99, "max": 1.0}
    return {f"{name}_ms": round(times[int(place * (len(times) - 1))], 3) for name, place in places.items()}


@contextmanager
def _progress(seconds: float) -> Iterator[Tick]:
    """A bar on stderr where that is a terminal; what is yielded moves it on, at most ten times a second."""
    if not os.isatty(2):
        yield lambda: None
        return
    from rich.console import Console  # noqa: PLC0415 - only where there is a terminal
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("measuring", total=seconds)
        began = shown = time.perf_counter()

        def tick() -> None:
            nonlocal shown
            now = time.perf_counter()
            if now - shown >= 0.1:
                shown = now
                progress.update(task, completed=now - began, refresh=True)

        yield tick
