"""``aiocpg listen``: what happens in a group, as it happens, in its order."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, TypeVar

import typer

from aiocpg import Event, Group, Message, SlowConsumerError, Stream, View, connect

from ._options import AsJson, GroupName, Url
from ._output import Output
from ._probe import probe_in
from ._records import Fact, of_gap, of_message, of_view
from ._running import run

T = TypeVar("T")


def listen(
    group: GroupName,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many messages.")] = None,
    since_join: Annotated[
        bool, typer.Option("--since-join", help="Count times from our own join, in seconds.")
    ] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Print what happens in a group, in its order.

    It joins the group and runs until it is told to end. The first line is our own join, with the members found there;
    positions count the messages since then. A listener is a member like any other: the others see it come and go. It
    sends nothing, and answers no ping.
    """

    async def listening(out: Output) -> None:
        async with connect(url) as cpg, cpg.join(group) as joined:
            await _listen(joined, out, Clock(since_join), count)

    run(listening, as_json=as_json, endless=count is None)


class Clock:
    """When things came: the time of day, or seconds since the first time it was asked."""

    def __init__(self, since_join: bool) -> None:
        self._zero = time.time() if since_join else None

    def stamped(self, fact: Fact) -> Fact:
        """The fact with the time it is now."""
        now = time.time()
        if self._zero is None:
            number, text = round(now, 6), time.strftime("%H:%M:%S", time.localtime(now))
        else:
            number = round(now - self._zero, 6)
            text = f"+{number:.3f}"
        return Fact({"time": number, **fact.record}, ((f"{text} ", "dim"), *fact.line))


async def _listen(group: Group, out: Output, clock: Clock, count: int | None) -> None:
    """Print until so many messages have come."""
    left = count
    async for batch in batches(group.events()):
        taken, left = until_count(batch, left)
        await out.tell(*(clock.stamped(fact) for event in taken for fact in facts_of(event, group)))
        if left == 0:
            return


async def batches(events: Stream[T]) -> AsyncIterator[list[T | SlowConsumerError]]:
    """What a stream has, whenever it has something; where this reader was too slow, that error stands in its place."""
    while True:
        try:
            batch: list[T | SlowConsumerError] = [*await events.receive_batch()]
        except SlowConsumerError as error:
            batch = [error]
        if not batch:
            return
        yield batch


def until_count(
    events: Iterable[Event | SlowConsumerError], count: int | None
) -> tuple[list[Event | SlowConsumerError], int | None]:
    """The events up to so many messages, and how many are still to come. Pings are no messages here."""
    taken: list[Event | SlowConsumerError] = []
    for event in events:
        if count == 0:
            break
        taken.append(event)
        if count is not None and isinstance(event, Message) and probe_in(event.data) is None:
            count -= 1
    return taken, count


def facts_of(event: Event | SlowConsumerError, group: Group) -> list[Fact]:
    """What there is to tell of an event: views tell all that changes and rings do."""
    match event:
        case Message():
            return [of_message(event)]
        case View():
            return [of_view(event, group.me)]
        case SlowConsumerError():
            return [of_gap(event)]
    return []
