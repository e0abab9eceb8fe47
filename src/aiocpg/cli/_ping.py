"""``aiocpg ping``: how long a message takes through the order, and an answer from each member that gives one."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Annotated

import anyio
import typer

from aiocpg import Address, Event, Group, Message, SlowConsumerError, Stream, View, connect

from ._chat import answer
from ._listen import batches
from ._options import AsJson, GroupName, Url
from ._output import Output
from ._probe import Probe, new_question, probe_in
from ._records import Fact
from ._running import run
from ._status import Status
from ._text import shown_name


def ping(
    group: GroupName,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many rounds.")] = None,
    interval: Annotated[float, typer.Option(min=0, help="Seconds between the beginnings of two rounds.")] = 1,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds that a member has to answer.")] = 2,
    answering: Annotated[bool, typer.Option("--answer", help="Ask nobody, and answer others instead.")] = False,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """
    Measure how long a group's members take to answer.

    It joins the group, sends a question each round, and prints how long that took through the order, and how long each
    member's answer took. Members that run aiocpg chat or aiocpg ping answer; others are told as silent. Ctrl-C ends it
    with a summary. With --count the status is 1 when somebody has answered nothing, or when a question of our own did
    not come back.
    """

    async def pinging(out: Output) -> int:
        async with connect(url) as cpg, cpg.join(group) as joined:
            return await Pinger(joined, out, timeout).run(count, interval)

    async def replying(out: Output) -> None:
        async with connect(url) as cpg, cpg.join(group) as joined:
            await _answer(joined, out)

    run(replying if answering else pinging, as_json=as_json, endless=True)


async def _answer(group: Group, out: Output) -> None:
    async for batch in batches(group.messages()):
        for message in batch:
            if isinstance(message, Message) and await answer(message, group):
                record = {"event": "answered", "group": shown_name(group.name), "member": str(message.sender)}
                await out.tell(Fact(record, (("answered ", "green"), (str(message.sender), ""))))


class Round:
    """
    One question, and what came of it.

    Attributes:
        question: What was asked.
        waiting: Who has not answered yet; ourselves among them until the question came back, which says who is asked.
        times: Milliseconds until each answer; ourselves: until the question came back.
    """

    def __init__(self, me: Address) -> None:
        self.me = me
        self.question: Probe = new_question()
        self.waiting: set[Address] = {me}
        self.times: dict[Address, float] = {}
        self._began = time.monotonic()

    def take(self, event: object) -> Address | None:
        """Look at an event; return who has answered by it."""
        if isinstance(event, View):
            self.waiting -= set(event.left)
        if not isinstance(event, Message) or event.sender not in self.waiting:
            return None
        probe = probe_in(event.data)
        if probe is None or probe.token != self.question.token:
            return None
        if event.sender == self.me:
            self.waiting |= set(event.view.members)
        self.waiting.discard(event.sender)
        self.times[event.sender] = (time.monotonic() - self._began) * 1000
        return event.sender


class Pinger:
    """Rounds in a group, and their sums."""

    def __init__(self, group: Group, out: Output, timeout: float) -> None:
        self._group = group
        self._out = out
        self._timeout = timeout
        self._times: dict[Address, list[float]] = {}
        self._asked: dict[Address, int] = {}
        self._rounds = 0

    async def run(self, count: int | None, interval: float) -> int:
        """Make so many rounds, or rounds until cancelled; print the sums; return the status."""
        events = self._group.events()
        try:
            while count is None or self._rounds < count:
                began = anyio.current_time()
                await self._round(events)
                if self._rounds != count:
                    await anyio.sleep_until(began + interval)
        finally:
            # Bounded, because whoever reads our output may have stopped.
            with anyio.move_on_after(1, shield=True):
                await self._tell_sums()
        return self._status()

    async def _round(self, events: Stream[Event]) -> None:
        """Ask, and wait for the answers until all have come or the time is over."""
        self._rounds += 1
        current = Round(self._group.me)
        try:
            with anyio.move_on_after(self._timeout):
                await self._group.mcast(current.question.data)
                while current.waiting:
                    await self._read(events, current)
        finally:
            self._count(current.times)
        self._count(current.waiting)
        for who in sorted(current.waiting):
            await self._out.tell(self._silent(who))

    def _count(self, asked: Iterable[Address]) -> None:
        """Count a question to each; when a round is broken off, only to who has answered: the others still may."""
        for who in asked:
            self._asked[who] = self._asked.get(who, 0) + 1

    async def _read(self, events: Stream[Event], current: Round) -> None:
        try:
            batch = await events.receive_batch()
        except SlowConsumerError:
            return  # what was lost is told as silence
        for event in batch:
            if isinstance(event, Message):
                await answer(event, self._group)
            if (who := current.take(event)) is not None:
                self._times.setdefault(who, []).append(current.times[who])
                await self._out.tell(self._answered(who, current.times[who]))

    def _answered(self, who: Address, milliseconds: float) -> Fact:
        event = "order" if who == self._group.me else "answer"
        record = {"event": event, "round": self._rounds, "member": str(who), "ms": round(milliseconds, 3)}
        what = "came back to us" if event == "order" else "answers"
        return Fact(
            record, ((f"{self._rounds} ", "dim"), (str(who), "cyan"), (f" {what} in {milliseconds:.2f} ms", ""))
        )

    def _silent(self, who: Address) -> Fact:
        record = {"event": "silent", "round": self._rounds, "member": str(who)}
        return Fact(record, ((f"{self._rounds} ", "dim"), (str(who), "cyan"), (" does not answer", "yellow")))

    async def _tell_sums(self) -> None:
        for who, asked in sorted(self._asked.items()):
            times = self._times.get(who, [])
            record = {"event": "summary", "member": str(who), "rounds": asked, "answers": len(times), **_spread(times)}
            spread = "".join(f", {name} {value} ms" for name, value in _spread(times).items())
            await self._out.tell(Fact(record, ((str(who), "cyan"), (f" {len(times)} of {asked}{spread}", ""))))

    def _status(self) -> int:
        own = self._group.me
        complete = len(self._times.get(own, [])) == self._asked.get(own, 0)
        return Status.DONE if complete and all(self._times.get(who) for who in self._asked) else Status.FAILED


def _spread(times: list[float]) -> dict[str, float]:
    if not times:
        return {}
    return {"min": round(min(times), 3), "mean": round(sum(times) / len(times), 3), "max": round(max(times), 3)}
