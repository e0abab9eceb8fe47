"""The members of a walk: each sends numbered, checksummed messages and records what it sees, life after life."""

from __future__ import annotations

import os
import random
import struct
import zlib
from collections.abc import Callable
from typing import Any, Literal

import anyio

from aiocpg import (
    Address,
    Connection,
    ConnectionLostError,
    EngineUnavailableError,
    Event,
    Group,
    GroupClosedError,
    Message,
    RingChange,
    View,
)
from aiocpg.testing import ClusterNode
from faults.walk.records import Content, Delivery, End, History, Receipt, Record, Ring, Seen
from faults.watching import until

GROUP = b"walk"

HEADER = struct.Struct("<4I")
"""Incarnation, number, size in all and crc32 of the rest of a message."""

SIZES = ((50, 30, 300), (30, 300, 3000), (17, 3000, 20_000), (3, 60_000, 60_001))
"""Weight and range of the sizes of messages, in bytes."""


class Member:
    """
    A member on one node: it joins whenever it is wanted and its daemon serves, and each time its life is recorded.

    Attributes:
        wanted: Whether it should be a member.
        quiet: Whether it should not send by itself.
        is_idle: Whether it does not.
        fates: Process id of a daemon of its node -> how that was ended.
        sent: Messages over all its lives.
        life: The present life; None while it is no member.
    """

    def __init__(self, node: ClusterNode, histories: list[History], seed: int) -> None:
        self.node = node
        self._histories = histories
        self._seed = seed
        self._group: Group | None = None
        self.wanted = True
        self.quiet = False
        self.is_idle = False
        self.fates: dict[int, End] = {}
        self.sent = 0
        self.life: History | None = None

    async def run(self) -> None:
        """Live, until cancelled."""
        while True:
            await until(lambda: self.wanted, patience=None)
            try:
                async with self.node.connect(connect_timeout=None) as cpg:
                    await self._live(cpg)
            except (EngineUnavailableError, ConnectionLostError):
                await anyio.sleep(0.02)  # there is no daemon now, or it has just ended

    def doom(self, fate: End) -> None:
        """Note that the node's daemon is about to be ended."""
        assert self.node.pid is not None
        self.fates[self.node.pid] = fate

    async def leave(self) -> None:
        """Leave in order and stay away."""
        self.wanted = False
        if group := self._end_by("left"):
            await group.leave()

    async def close(self) -> None:
        """Close hard, as a process that ends, and stay away."""
        self.wanted = False
        if group := self._end_by("closed"):
            group._life.abandon()

    def _end_by(self, how: Literal["left", "closed"]) -> Group | None:
        """Note how this life is to end; None where there is none, or it is ending already."""
        if self._group is None or self.life is None or self.life.asked is not None:
            return None
        self.life.asked = how
        return self._group

    async def say(self) -> None:
        """Send one message."""
        assert self._group is not None
        assert self.life is not None
        await self._one(self._group, self.life, bytes(random.Random(self.sent).randbytes(100)))

    async def _live(self, cpg: Connection) -> None:
        """Join, send and read until this life ends."""
        assert cpg.daemon is not None
        self._group = group = await self._join(cpg)
        life = self.life = History(len(self._histories) + 1, group.me)
        self._histories.append(life)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._send, group, life)
            try:
                await self._read(group, life, cpg.daemon.pid)
            finally:
                self._group = self.life = None
                tasks.cancel_scope.cancel()

    async def _join(self, cpg: Connection) -> Group:
        """Join; a life that is lost before it has begun is recorded, for others may have seen it."""
        try:
            return await cpg.join(GROUP)
        except ConnectionLostError:
            assert cpg.daemon is not None
            me = Address(cpg.nodeid, os.getpid())
            self._histories.append(History(len(self._histories) + 1, me, self.fates[cpg.daemon.pid]))
            raise

    async def _read(self, group: Group, life: History, daemon: int) -> None:
        events = group.events()
        if not self.wanted:  # it was sent away while it came
            life.asked = "left"
            await group.leave()
        try:
            while batch := await events.receive_batch():
                life.records += filter(None, map(record, batch))
            life.end = life.asked or "closed"
        except ConnectionLostError:
            assert daemon in self.fates, f"the daemon of node {self.node.nodeid} was lost, and nobody ended it"
            life.end = self.fates[daemon]

    async def _send(self, group: Group, life: History) -> None:
        rng = random.Random(f"{self._seed} {life.incarnation}")
        kinds: dict[Callable[[Group, History, bytes], Any], int] = {self._one: 90, self._confirmed: 5, self._many: 5}
        try:
            while True:
                self.is_idle = self.quiet
                await until(lambda: not self.quiet, patience=None)
                for _ in range(rng.randrange(1, 20)):
                    [kind] = rng.choices(list(kinds), list(kinds.values()))
                    await kind(group, life, payload(rng))
                await anyio.sleep(rng.choice((0.001, 0.005, 0.02)))
        except (GroupClosedError, ConnectionLostError):
            return  # whoever reads learns why

    async def _one(self, group: Group, life: History, rest: bytes) -> None:
        await group.mcast(self._sealed(life, rest), rest)
        self._taken(life, 1)

    async def _confirmed(self, group: Group, life: History, rest: bytes) -> None:
        number = len(life.sent)
        receipt = await group.mcast_confirmed(self._sealed(life, rest), rest)
        life.receipts.append(Receipt(number, receipt.position, receipt.view.number))
        self._taken(life, 1)

    async def _many(self, group: Group, life: History, rest: bytes) -> None:
        count = 10
        await group.mcast_many([self._sealed(life, rest) + rest for _ in range(count)])
        self._taken(life, count)

    def _sealed(self, life: History, rest: bytes) -> bytes:
        """Note a message that is about to be sent, and return its header."""
        content = Content(HEADER.size + len(rest), zlib.crc32(rest))
        life.sent.append(content)
        return HEADER.pack(life.incarnation, len(life.sent) - 1, *content)

    def _taken(self, life: History, count: int) -> None:
        life.taken = len(life.sent)
        self.sent += count


def payload(rng: random.Random) -> bytes:
    """Make what a message carries, most often little."""
    [(_, low, high)] = rng.choices(SIZES, [weight for weight, _, _ in SIZES])
    return rng.randbytes(rng.randrange(low, high))


def record(event: Event) -> Record | None:
    """Note an event; None for one that says nothing that its view does not say."""
    if isinstance(event, Message):
        incarnation, number, _, _ = HEADER.unpack_from(event.data.ljust(HEADER.size, b"\0"))
        return Delivery(event.sender, incarnation, number, content(event.data), event.position, event.view.number)
    if isinstance(event, RingChange):
        return Ring(event.ring_id, event.nodes)
    if isinstance(event, View):
        changes = tuple(sorted(event.joined.items())), tuple(sorted(event.left.items()))
        return Seen(event.number, event.position, event.ring_id, event.members, *changes)
    return None


def content(data: bytes) -> Content:
    """Measure a message as it arrived."""
    return Content(len(data), zlib.crc32(data[HEADER.size :]))
