"""The members of a walk: each sends numbered messages of all guarantees and records what it sees, life after life."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import anyio

from aiocpg import (
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    EngineUnavailableError,
    Guarantee,
    MessageLostError,
    Opening,
)
from aiocpg._loop import current_port
from aiocpg.evs import Evs, Ticket
from aiocpg.evs._domain import PREFIX, Domain
from aiocpg.evs._endpoint import Settings
from aiocpg.evs._options import Options
from aiocpg.evs._registry import Lease
from aiocpg.evs._values import as_groups
from evs.sim.history import Fate
from faults.evs_walk.lines import Line, Write, line, receipt_line
from faults.evs_walk.messages import GROUPS, LARGE, MIXED, make, measure, some_size
from faults.watching import until

BUFFERED = 1 << 30
"""Bytes that a handle may hold unread. It is to miss nothing, also where its process stood still."""


@dataclass(frozen=True)
class Profile:
    """
    What a member is like: values of JSON.

    Attributes:
        number: Which member of the walk it is, from 1; no other process has it.
        seed: Of what it sends.
        domain: Where.
        has_safe: Whether some of its messages are SAFE.
        reconnect: Whether it leaves coming back to aiocpg.
        evict_after: As for ``connect``.
    """

    number: int
    seed: str = "0"
    domain: str = "walk"
    has_safe: bool = True
    reconnect: bool = False
    evict_after: float | None = None

    @property
    def options(self) -> Options:
        """Its endpoint's. The window is small, so that it is full now and then."""
        return Options(65536, 512 * 1024, Settings(stall_timeout=0.5, evict_after=self.evict_after))


class Member:
    """
    A member: it is there whenever it is wanted and its daemon serves.

    Args:
        profile: What it is like.
        connect: Begins to connect to its daemon.
        write: Takes each line that it records.
    """

    def __init__(self, profile: Profile, connect: Callable[[], Opening[Connection]], write: Write) -> None:
        self._profile = profile
        self._connect = connect
        self._write_line = write
        self._number = profile.number << 32
        self._rng = random.Random(f"{profile.seed} {profile.number}")
        self._tickets: list[tuple[int, Ticket]] = []
        self._domain: Domain | None = None
        self._has_large = False
        self._is_wanted = True
        self._is_quiet = False
        self._is_parked = False
        self._is_frozen = False
        self._to_say = 0

    def command(self, word: str) -> None:
        """
        Be told what to do.

        ``quiet`` and ``loud``: send nothing by itself, or go on. ``say``: send one SAFE message. ``leave``: leave in
        order. ``close``: close hard. ``join``: come back. ``freeze``: record no more.
        """
        if word in {"quiet", "loud"}:
            self._is_quiet = word == "quiet"
        elif word == "say":
            self._to_say += 1
        elif word == "freeze":
            self._note_statistics()
            self._write(["frozen"])
            self._is_frozen = True
        else:
            self._is_wanted = word == "join"
            if word == "close" and self._domain is not None:
                self._domain.abandon()

    def _write(self, line: Line) -> None:
        if not self._is_frozen:
            self._write_line(line)

    async def run(self) -> None:
        """Live, until cancelled."""
        while True:
            await until(lambda: self._is_wanted, patience=None)
            try:
                async with self._connect() as cpg:
                    await self._live(cpg)
            except (EngineUnavailableError, ConnectionLostError):
                await anyio.sleep(0.02)  # there is no daemon now, or it has just ended

    # -- A handle, from beginning to end

    async def _live(self, cpg: Connection) -> None:
        evs = await self._enter(cpg)
        async with anyio.create_task_group() as tasks:
            for task in (self._send, self._settle, self._leave):
                tasks.start_soon(task, evs)
            try:
                end = await self._read(evs)
                await until(lambda: not self._tickets)
                self._note_statistics()
                self._write(["end", end])
            finally:
                tasks.cancel_scope.cancel()
                await self._close(evs)

    async def _enter(self, cpg: Connection) -> Evs:
        """
        Open a handle that misses nothing: it is there, and has joined its groups, before its endpoint begins.

        As ``connect`` does it, which has no words for when it has joined the CPG group.
        """
        try:
            joined = await cpg.join(PREFIX + self._profile.domain.encode())
        except ConnectionLostError:  # others may have seen it come
            self._write(["begin", [cpg.nodeid, os.getpid()]])
            self._write(["end", "lost"])
            raise
        domain = self._domain = Domain(cpg, joined, current_port(), self._profile.options)
        evs = Evs(Lease(domain, _nothing), domain.readers.open(BUFFERED, as_groups(GROUPS)), 5, None)
        self._write(["begin", list(joined.me)])
        with suppress(ConnectionLostError):  # reading tells
            await domain.begin()
        return evs

    async def _read(self, evs: Evs) -> str:
        try:
            async for event in evs:
                self._write(line(event))
        except ConnectionLostError:
            return "lost"
        return "left"

    async def _leave(self, evs: Evs) -> None:
        """Leave when that is wanted. The handle is closed behind that, or it would not get what comes meanwhile."""
        assert self._domain is not None
        await until(lambda: not self._is_wanted, patience=None)
        with suppress(ConnectionLostError), anyio.move_on_after(5):
            with anyio.move_on_after(3):
                await self._domain.drain()
            await self._domain.leave()

    async def _close(self, evs: Evs) -> None:
        assert self._domain is not None
        self._is_parked = False
        with anyio.CancelScope(shield=True):
            await self._domain.give_up()
            await evs.aclose()
        self._domain = None
        self._tickets.clear()

    def _note_statistics(self) -> None:
        if self._domain is not None:
            counts = self._domain.counts
            names = ("stale", "gaps", "divergences", "evictions", "stalls")
            dropped = {f"dropped {what}": number for what, number in counts.dropped.items()}
            self._write(["statistics", {name: getattr(counts, name) for name in names} | dropped])

    # -- Sending

    async def _send(self, evs: Evs) -> None:
        rng = self._rng
        async with anyio.create_task_group() as tasks:
            with suppress(ConnectionLostError, ConnectionClosedError):  # whoever reads learns why
                while True:
                    await self._until_allowed()
                    if self._to_say:
                        self._to_say -= 1
                        await self._one(evs, Guarantee.SAFE, 100)
                        continue
                    if not self._has_large and rng.random() < 0.01:
                        self._has_large = True
                        tasks.start_soon(self._one_large, evs)
                    for _ in range(rng.randrange(1, 20)):
                        await self._one(evs, self._some_guarantee(), some_size(rng))
                    await anyio.sleep(rng.choice((0.01, 0.03, 0.1)))

    async def _until_allowed(self) -> None:
        while self._is_quiet and not self._to_say:
            if not self._is_parked and not self._has_large:
                self._is_parked = True
                self._write(["parked", True])
            await anyio.sleep(0.01)
        if self._is_parked:
            self._is_parked = False
            self._write(["parked", False])

    def _some_guarantee(self) -> Guarantee:
        [guarantee] = self._rng.choices(list(MIXED), list(MIXED.values()))
        return guarantee if self._profile.has_safe or guarantee is not Guarantee.SAFE else Guarantee.AGREED

    async def _one(self, evs: Evs, guarantee: Guarantee, size: int) -> None:
        number, data = self._new(guarantee, size)
        groups = self._rng.choice((None, None, GROUPS[:1], GROUPS[1:]))
        try:
            if groups is None:
                ticket = await evs.mcast_joined(data[:100], data[100:], guarantee=guarantee)
            else:
                ticket = await evs.mcast_groups(groups, data, guarantee=guarantee)
        except BaseException as error:
            self._write(["fate", number, _fate(error).value])
            raise
        self._tickets.append((number, ticket))

    async def _one_large(self, evs: Evs) -> None:
        """A message in pieces; now and then its sender has no patience."""
        rng = self._rng
        guarantee = self._some_guarantee()
        number, data = self._new(guarantee, rng.randrange(LARGE, 3 * LARGE // 2))
        patience = rng.choice((None, None, None, 0.02))
        fate: Fate | None = Fate.WITHDRAWN
        try:
            with anyio.move_on_after(patience):
                self._tickets.append((number, await evs.mcast_joined(data, guarantee=guarantee)))
                fate = None
        except CPGError as error:
            fate = _fate(error)
        finally:
            self._has_large = False
            if fate is not None:
                self._write(["fate", number, fate.value])

    def _new(self, guarantee: Guarantee, size: int) -> tuple[int, bytes]:
        """Note a message that is about to be sent."""
        self._number += 1
        data = make(self._number, size)
        self._write(["send", self._number, int(guarantee), *measure(data)[1:], size >= LARGE])
        return self._number, data

    async def _settle(self, evs: Evs) -> None:
        """Note what becomes of each message that was sent."""
        while True:
            await until(lambda: self._tickets, patience=None)
            number, ticket = self._tickets[0]
            self._write(await _outcome(number, ticket))
            del self._tickets[0]


async def _outcome(number: int, ticket: Ticket) -> Line:
    try:
        return receipt_line(number, await ticket.delivered())
    except CPGError as error:
        return ["fate", number, _fate(error).value]


def _fate(error: BaseException) -> Fate:
    if isinstance(error, MessageLostError):
        return Fate.LOST
    return Fate.UNKNOWN if isinstance(error, CPGError) else Fate.WITHDRAWN


async def _nothing(*_: Any) -> None:
    """The lease of a handle whose endpoint its member closes by itself."""
