"""
A campaign of cancellations: senders, readers and members that come and go, each call cancelled at a random moment.

Cancelling is done as programs do it: with ``Task.cancel()`` on asyncio and uvloop, with cancel scopes everywhere. What
a call promises when it is cancelled is checked in the end: nothing lost, nothing doubled, nothing out of order.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import anyio
import anyio.lowlevel

from aiocpg import Connection, Group, Message, Receipt, Stream
from faults.watching import PATIENCE
from support.loops import running_loop

Call = Callable[[], Awaitable[Any]]

MOMENT = {"join": 0.3, "leave": 0.1, "send sure": 0.1}
"""Seconds that a call has at the most until it is cancelled, if not :data:`SHORT`: about twice what it takes."""

SHORT = 0.02

KINDS = ("send one", "send many", "send sure", "join", "leave", "read one", "read a batch")


class Sent(NamedTuple):
    """One sending call."""

    kind: str
    numbers: tuple[int, ...]
    """Each message has a number of its own."""
    returned: bool


async def interrupt(rng: random.Random, call: Call, seconds: float) -> tuple[bool, Any]:
    """Make a call and cancel it at a moment within so many seconds; return whether it returned before, and what."""
    if running_loop() == "trio" or rng.random() < 0.5:
        return await _interrupt_by_scope(rng, call, seconds)
    return await _interrupt_natively(rng, call, seconds)


async def _interrupt_natively(rng: random.Random, call: Call, seconds: float) -> tuple[bool, Any]:
    task = asyncio.ensure_future(call())
    await _moment(rng, seconds)
    task.cancel()
    try:
        return True, await task
    except asyncio.CancelledError:
        return False, None


async def _interrupt_by_scope(rng: random.Random, call: Call, seconds: float) -> tuple[bool, Any]:
    results: list[Any] = []

    async def run() -> None:
        results.append(await call())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await _moment(rng, seconds)
        tasks.cancel_scope.cancel()
    return bool(results), results[0] if results else None


async def _moment(rng: random.Random, seconds: float) -> None:
    """Let a few turns of the loop go by, or some time; what waits for nothing but a turn has returned by then."""
    if rng.random() < 0.5:
        for _ in range(rng.randrange(5)):
            await anyio.lowlevel.checkpoint()
    else:
        await anyio.sleep(rng.random() ** 3 * seconds)


class Campaign:
    """
    One connection and one group in it, with everything going on at once.

    Attributes:
        sent: By sender, the calls in order.
        read: By reader, the messages in order.
        outcomes: How often each kind of call returned and was cancelled.
    """

    def __init__(self, cpg: Connection, group: Group, seed: int) -> None:
        self._cpg, self._group = cpg, group
        self._rng = random.Random(seed)
        self._stopping = False
        self._slowness = 1.0
        self.sent: dict[int, list[Sent]] = {}
        self.read: dict[str, list[Message]] = {}
        self.receipts: dict[bytes, Receipt] = {}
        self.outcomes: Counter[tuple[str, bool]] = Counter()

    async def run(self, seconds: float) -> None:
        """Do it for so long, then leave the group and let the readers finish."""
        async with anyio.create_task_group() as readers:
            for number in range(2):
                readers.start_soon(self._read_one_by_one, f"one by one {number}", self._messages())
                readers.start_soon(self._read_batches, f"batches {number}", self._messages())
            async with anyio.create_task_group() as others:
                for number in range(6):
                    others.start_soon(self._send, number)
                for number in range(3):
                    others.start_soon(self._come_and_go, b"comes and goes %d" % number)
                await anyio.sleep(seconds)
                await self._until_varied()
                self._stopping = True
            await self._group.leave()

    def _messages(self) -> Stream[Message]:
        return self._group.messages(max_buffered_bytes=1 << 32)

    async def _interrupted(self, what: str, call: Call) -> tuple[bool, Any]:
        returned, result = await interrupt(self._rng, call, MOMENT.get(what, SHORT) * self._slowness)
        self.outcomes[what, returned] += 1
        return returned, result

    async def _send(self, sender: int) -> None:
        calls = self.sent[sender] = []
        number = 0
        while not self._stopping:
            kind = self._rng.choice(["one", "one", "one", "many", "sure"])
            numbers = tuple(range(number, number + (self._rng.randrange(1, 40) if kind == "many" else 1)))
            number += len(numbers)
            messages = [b"%d:%d:" % (sender, one) + bytes(self._size()) for one in numbers]
            returned, result = await self._interrupted(f"send {kind}", lambda k=kind, m=messages: self._call(k, m))
            calls.append(Sent(kind, numbers, returned))
            if isinstance(result, Receipt):
                self.receipts[messages[0]] = result

    def _size(self) -> int:
        """Mostly small; large enough now and then for the window to be full."""
        return int(200_000 * self._rng.random() ** 8)

    def _call(self, kind: str, messages: list[bytes]) -> Awaitable[Any]:
        if kind == "many":
            return self._group.mcast_many(messages)
        return self._group.mcast(messages[0]) if kind == "one" else self._group.mcast_confirmed(messages[0])

    async def _come_and_go(self, name: bytes) -> None:
        async def join() -> Group:
            return await self._cpg.join(name)

        while not self._stopping:
            joined, group = await self._interrupted("join", join)
            if joined:
                await group.mcast(b"hello")
                await self._interrupted("leave", group.leave)
                await group.leave()  # a task cancelled before its first step has not even begun to leave

    async def _read_one_by_one(self, name: str, stream: Stream[Message]) -> None:
        read = self.read[name] = []

        async def read_one() -> Message | None:
            return await anext(stream, None)

        while True:
            if self._rng.random() < 0.9:  # cancelled each time, it would never keep up
                returned, message = True, await read_one()
            else:
                returned, message = await self._interrupted("read one", read_one)
            if message is not None:
                read.append(message)
            elif returned:
                return

    async def _read_batches(self, name: str, stream: Stream[Message]) -> None:
        read = self.read[name] = []
        while True:
            returned, batch = await self._interrupted("read a batch", stream.receive_batch)
            if returned and not batch:
                return
            read += batch or []

    def check(self) -> None:
        """Compare what was read with what was sent."""
        histories = list(self.read.values())
        assert all(history == histories[0] for history in histories)
        assert [message.position for message in histories[0]] == list(range(1, len(histories[0]) + 1))
        for message in histories[0]:
            receipt = self.receipts.pop(message.data, None)
            assert receipt is None or receipt.position == message.position
        assert not self.receipts
        for sender, calls in self.sent.items():
            _check_sender(calls, _numbers(histories[0], sender))

    async def _until_varied(self) -> None:
        """Go on where calls take so much longer than they should that one kind never returned, with later moments."""
        with anyio.move_on_after(PATIENCE):
            while not self.is_varied:
                await anyio.sleep(0.5)
                self._slowness *= 1.3

    @property
    def is_varied(self) -> bool:
        """Whether each kind of call was cancelled and returned; else the campaign has shown nothing."""
        return all(self.outcomes[kind, returned] for kind in KINDS for returned in (True, False))

    def check_variety(self) -> None:
        """See that it has shown something."""
        assert self.is_varied, self.outcomes


def _numbers(history: list[Message], sender: int) -> list[int]:
    heads = (message.data.split(b":", 2) for message in history)
    return [int(number) for who, number, _ in heads if int(who) == sender]


def _check_sender(calls: list[Sent], received: list[int]) -> None:
    """Take what each call must have sent, or may have sent, off the messages of one sender in their order."""
    rest = received
    for call in calls:
        came = 0
        while came < len(call.numbers) and rest[came : came + 1] == [call.numbers[came]]:
            came += 1
        rest = rest[came:]
        assert came == len(call.numbers) or not call.returned, f"lost: {call}, {came} came"
        assert came == 0 or call.returned or call.kind != "one", f"cancelled and yet sent: {call}"
    assert not rest, f"foreign, doubled or out of order: {rest[:5]}"
