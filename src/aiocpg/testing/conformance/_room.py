"""
Where a check and an engine meet. Every wait here is bounded, and every coroutine of the engine runs on a task of its
own: an engine that hangs fails the check, and does not hang it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, NoReturn, TypeVar

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from aiocpg.engine._base import Engine, Membership

from ._call import Call
from ._member import Member, RingWatcher
from ._report import ConformanceError
from ._world import Absent, World

T = TypeVar("T")

_LOOK_SECONDS = 0.001
"""Between two looks at what nobody announces."""

_names = itertools.count(1)


class Room:
    """
    One run of one check.

    Args:
        promise: What is looked at.
        check: By whom.
        world: Where.
        patience: Seconds until a wait counts as a hang.
        tasks: Where the engine's coroutines run.
    """

    def __init__(self, promise: int, check: str, world: World, patience: float, tasks: TaskGroup) -> None:
        self._promise = promise
        self._check = check
        self._world = world
        self._patience = patience
        self._tasks = tasks
        self._engines: list[tuple[Engine, RingWatcher]] = []
        self._members: list[Member] = []
        self.group = self.another_group()

    def another_group(self) -> bytes:
        """A group's name that nobody has had before."""
        return b"conformance.%d.%d.%s" % (os.getpid(), next(_names), os.urandom(4).hex().encode())

    # -- Saying what is wrong

    def fail(self, seen: str) -> NoReturn:
        """The promise is broken."""
        raise ConformanceError(self._promise, self._check, seen)

    def expect(self, is_so: object, seen: str) -> None:
        """The promise is broken unless it is so."""
        if not is_so:
            self.fail(seen)

    # -- Waiting

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for what the engine owes; it is broken when it does not come."""
        with anyio.move_on_after(self._patience):
            while not condition():  # noqa: ASYNC110 - no event tells it
                await anyio.sleep(_LOOK_SECONDS)
            return
        self.fail(f"waited {self._patience:g} s for {what}")

    async def turns(self, count: int = 20) -> None:
        """Let the loop go round, so that what is due has happened."""
        for _ in range(count):
            await anyio.lowlevel.checkpoint()

    # -- Calling

    def start(self, what: str, function: Callable[[], Awaitable[T]]) -> Call[T]:
        """Begin a call, beside the check."""
        call = Call(what, function)
        self._tasks.start_soon(call.run)
        return call

    async def ended(self, *calls: Call[Any]) -> None:
        """Wait until all of these are over, in whatever way."""
        for call in calls:
            await self.until(partial(getattr, call, "has_ended"), f"{call.what} to end")

    async def call(self, what: str, function: Callable[[], Awaitable[T]]) -> T:
        """Make a call and wait for it; raises what it raises."""
        call = self.start(what, function)
        await self.ended(call)
        return call.result()

    # -- Engines and members

    async def open(self) -> Engine:
        """Another engine, which is listened to."""
        engine = await self.call("open", self._world.open)
        watcher = RingWatcher()
        self._engines.append((engine, watcher))
        engine.listen(watcher)
        return engine

    def watcher(self, engine: Engine) -> RingWatcher:
        """Who listens to an engine."""
        return next(watcher for one, watcher in self._engines if one is engine)

    async def join(self, engine: Engine, group: bytes | None = None) -> Member:
        """A member that has seen itself come, of this room's group unless told otherwise."""
        name = self.group if group is None else group
        member = self.adopt(await self.call("join", lambda: engine.join(name)))
        await self.joined(member)
        return member

    def adopt(self, membership: Membership) -> Member:
        """Listen to a new membership."""
        member = Member(membership)
        self._members.append(member)
        return member

    async def joined(self, member: Member) -> None:
        """Wait for the member's own join."""
        await self.until(lambda: member.has_joined, f"the change that lists {member.me} as joined")

    async def leave(self, member: Member) -> None:
        """Leave, and wait for the departure."""
        await self.call("leave", member.membership.leave)
        await self.until(lambda: member.has_left, f"the departure of {member.me}, which left")

    async def send(self, member: Member, data: bytes) -> None:
        """Send one message, however long the engine is congested."""
        await self.until(lambda: member.membership.mcast(data), "mcast to take a message")

    async def send_many(self, member: Member, messages: Sequence[bytes]) -> None:
        """Send a batch, in pieces where the engine takes no more."""
        rest = list(messages)

        def all_taken() -> bool:
            taken = member.membership.mcast_many(rest)
            self.expect(0 <= taken <= len(rest), f"mcast_many took {taken} of {len(rest)} messages")
            del rest[:taken]
            return not rest

        await self.until(all_taken, "mcast_many to take the rest of its messages")

    async def heard(self, data: bytes, *members: Member) -> None:
        """Wait until all of these have had this message."""
        for member in members:
            await self.until(partial(member.has, data), f"{member.me} to have {data[:40]!r}")

    # -- Misfortunes

    async def lose(self, engine: Engine) -> None:
        """See :class:`Abilities`."""
        await _given(self._world.abilities.lose)(engine)

    def stall(self, engine: Engine) -> AbstractAsyncContextManager[None]:
        """See :class:`Abilities`."""
        return _given(self._world.abilities.stall)(engine)

    def congest(self, engine: Engine) -> AbstractAsyncContextManager[None]:
        """See :class:`Abilities`."""
        return _given(self._world.abilities.congest)(engine)

    def cut(self, here: Iterable[Engine], there: Iterable[Engine]) -> AbstractAsyncContextManager[None]:
        """See :class:`Abilities`."""
        return _given(self._world.abilities.cut)(here, there)

    # -- The end

    async def close(self) -> None:
        """Close what the check has opened; what it has closed itself is closed again, which does nothing."""
        memberships = [member.membership for member in self._members]
        try:
            await self._close_all("a membership", [partial(one.aclose, hard=True) for one in memberships])
        finally:
            await self._close_all("an engine", [engine.aclose for engine, _ in self._engines])

    async def _close_all(self, whats: str, closers: Iterable[Callable[[], Awaitable[None]]]) -> None:
        calls = [self.start(f"aclose of {whats}", close) for close in closers]
        await self.ended(*calls)
        for call in calls:
            call.result()


def _given(ability: T | Absent) -> T:
    assert not isinstance(ability, Absent), "a check that needs it was begun in a world without it"
    return ability
