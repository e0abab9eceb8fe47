"""
One connection in one event loop: its groups, who hears of its rings, its gaps and its loss, and who cleans up when the
loop ends.
"""

from __future__ import annotations

import logging
import random
import warnings
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import anyio

from aiocpg._comeback import Comeback
from aiocpg._events import DaemonResumed, DaemonStalled, Disconnected, RingChange
from aiocpg._group import Life, WayBack
from aiocpg._health import Health
from aiocpg._hub import Hub
from aiocpg._lag import LagWatch
from aiocpg._link import Link, Return
from aiocpg._loop import LoopEnd, LoopPort
from aiocpg._place import Place
from aiocpg._pulse import STALL_SECONDS, Pulse
from aiocpg._quorum import QuorumKeeper
from aiocpg._state.ended import counted
from aiocpg._statistics import ConnectionStatistics, GroupStatistics
from aiocpg._stream import Stream
from aiocpg.engine._base import Engine, Membership
from aiocpg.errors import (
    AlreadyJoinedError,
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    ForkedError,
    GroupClosedError,
)

log = logging.getLogger("aiocpg")

T = TypeVar("T")


class _Counting(NamedTuple):
    """Who counts, and what others had counted. One value, since other threads ask: each is in just one of the two."""

    lives: tuple[Life, ...]
    ended: tuple[GroupStatistics, ...]


class Session:
    """
    Owns the engine and the memberships opened through it.

    Args:
        engine: The first engine.
        port: The loop.
        opened_at: Where, for the warning of one that is never closed.
        way_back: How to come back after a loss; None where a loss is the end.
        stall_after: Seconds until a daemon that does not answer is told of, asked all the time; None: the default
            time, asked while something is pending.

    Attributes:
        link: The engine at hand.
        place: Where it belongs.
        rings: The readers of rings.
        quorum: What is known of the quorum, and its readers.
        lag: The watch over the loop.
    """

    def __init__(
        self,
        engine: Engine,
        port: LoopPort,
        opened_at: str,
        way_back: Return | None = None,
        stall_after: float | None = None,
    ) -> None:
        self.link = Link(engine, port, way_back)
        self.place = Place(port)
        self.rings: Hub[RingChange | Disconnected] = Hub(None, self._ring_in_force, self.place.check)
        self.lag = LagWatch(port)
        self._port = port
        self._ring: RingChange | None = None
        self._lives: dict[Life, str] = {}
        self._counting = _Counting((), ())
        self._asking = 0
        self._opened_at = opened_at
        self._end = LoopEnd(self._loop_ended)
        self._is_watched = stall_after is not None
        after = STALL_SECONDS if stall_after is None else stall_after
        self._pulse = Pulse(port, after, self._ping, self._is_pulse_wanted, self._stalled, self._resumed)
        self.quorum = QuorumKeeper(port, self.link.policy, self)
        self.link.listen(self)

    def on_ring(self, change: RingChange) -> None:
        """See :class:`aiocpg._link.LinkOwner`."""
        self._ring = change
        self.rings.publish([change])

    def on_away(self, error: ConnectionLostError) -> None:
        """See :class:`aiocpg._link.LinkOwner`."""
        self._ring = None
        self.rings.publish_gap(Disconnected(error.reason))
        self.quorum.on_away(error)

    def on_back(self) -> None:
        """See :class:`aiocpg._link.LinkOwner`."""
        if self.rings.readers:
            self.link.engine.ask_ring()
        self.quorum.on_back()

    def on_over(self, error: CPGError) -> None:
        """See :class:`aiocpg._link.LinkOwner`."""
        self.rings.end(error)
        self.quorum.end(error)
        if self.link.policy is not None:
            # Without a way back each group hears of its own loss.
            for life in list(self._lives):
                life.give_up(error)
        # The engine has given everything back, and so has each group: nothing is open any more.
        self._end.cancel()
        self.lag.stop()
        self._pulse.stop()

    def check_open(self) -> None:
        """Raise why nothing new can be done, if so."""
        self.place.check()
        self.link.check_open()

    def check_usable(self) -> None:
        """See :class:`aiocpg._quorum.Surroundings`."""
        self.place.check()

    @property
    def is_stalled(self) -> bool:
        """See :class:`aiocpg._quorum.Surroundings`."""
        return self._pulse.silent_for > 0

    @property
    def health(self) -> Health:
        """See :attr:`Connection.health`."""
        link = self.link
        is_over = link.is_closed or link.error is not None
        pumps = (life.pump for life in self._lives)
        ring = self._ring or next((pump.history.ring for pump in pumps if pump.history.ring and not pump.ended), None)
        return Health(
            is_connected=not link.is_away and not is_over,
            away_for=link.away_for,
            stalled_for=self._pulse.silent_for,
            ring=None if link.is_away or is_over else ring,
            reconnects=link.returns,
        )

    async def join(self, name: bytes, max_buffered_bytes: int, opened_at: str) -> Life:
        """Become a member."""
        if any(life.is_open and life.membership.name == name for life in self._lives):
            # While away it is not the engine's to know: who asks now must not take the place of who comes back.
            raise AlreadyJoinedError(name)
        return await self.ask(lambda engine: self._join(engine, name, max_buffered_bytes, opened_at))

    async def _join(self, engine: Engine, name: bytes, max_buffered_bytes: int, opened_at: str) -> Life:
        membership = await engine.join(name)
        if self.link.is_closed:  # while the engine's answer was on its way
            membership.abandon()
            raise ConnectionClosedError
        life = Life(membership, self.place, max_buffered_bytes, self._forget, self._way_back_to(name))
        self._lives[life] = opened_at
        self._counting = self._counting._replace(lives=tuple(self._lives))
        try:
            await life.begin()
        except GroupClosedError:  # nobody holds the group yet: it was closed with everything
            raise ConnectionClosedError from None
        return life

    def _way_back_to(self, name: bytes) -> WayBack | None:
        policy = self.link.policy
        if policy is None:
            return None

        async def join() -> Membership:
            return await (await self.link.until_there()).join(name)

        return lambda done, given_up: Comeback(self._port, policy, f"group {name!r}", join, done, given_up)

    def _forget(self, life: Life) -> None:
        if self._lives.pop(life, None) is not None:
            ended = counted((*self._counting.ended, life.statistics))
            self._counting = _Counting(tuple(self._lives), ended)

    @property
    def statistics(self) -> ConnectionStatistics:
        """See :meth:`Connection.statistics`."""
        if self.place.is_in_child():
            raise ForkedError
        counting = self._counting
        told = [life.statistics for life in counting.lives]
        groups = tuple(one for one in told if not one.is_over)
        # Somebody may still hold what is over, and not have closed it.
        over = [one for one in told if one.is_over]
        ended = counted((*counting.ended, *over)) if over else counting.ended
        return ConnectionStatistics(groups, self.link.returns, ended)

    async def ask(self, question: Callable[[Engine], Awaitable[T]]) -> T:
        """Put a question to the engine; with a way back, to the next one when this one is lost over it."""
        self.check_open()
        pauses = None if self.link.policy is None else self.link.policy.pauses(random.random)
        self._asking += 1
        try:
            while True:
                try:
                    return await question(await self.link.until_there())
                except ConnectionLostError:
                    if pauses is None:
                        raise
                await anyio.sleep(next(pauses))
        finally:
            self._asking -= 1

    def open_rings(self, max_buffered_bytes: int) -> Stream[RingChange]:
        """A reader of rings."""
        self.check_open()
        if not self.link.is_away:
            self.link.engine.ask_ring()
        return self.rings.open((RingChange,), max_buffered_bytes, "rings()")

    # -- The daemon's pulse

    async def _ping(self) -> None:
        await self.link.engine.ping()

    def _is_pulse_wanted(self) -> bool:
        if self.link.is_away or self.place.is_in_child():
            return False
        if self._is_watched or self._asking > 0 or self.quorum.is_pulse_wanted:
            return True
        return any(life.is_waiting for life in self._lives)

    def _stalled(self, seconds: float) -> None:
        log.warning("the daemon has not answered for %.1f s", seconds)
        self._tell(DaemonStalled(seconds))

    def _resumed(self, seconds: float) -> None:
        log.warning("the daemon answers again, after %.1f s", seconds)
        self._tell(DaemonResumed(seconds))

    def _tell(self, event: DaemonStalled | DaemonResumed) -> None:
        for life in list(self._lives):
            life.pump.tell(event)
        self.quorum.look()

    # -- The end

    async def aclose(self, seconds: float) -> None:
        """Leave all groups and close, within so many seconds. What still waits then, or when cancelled, is given up."""
        if self.link.is_closed or self.place.is_in_child():
            return
        self.place.check()
        self.link.close()
        try:
            with anyio.move_on_after(seconds):
                await self._leave_all()
                await self.link.engine.aclose()
        finally:
            self.abandon()

    async def _leave_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for life in list(self._lives):
                tasks.start_soon(_leave, life)

    def abandon(self) -> None:
        """Give everything up at once."""
        self.link.close()
        self._end.cancel()
        self.lag.stop()
        self._pulse.stop()
        for life in list(self._lives):
            life.abandon()
        self.link.engine.abandon()
        self.rings.end()
        self.quorum.end()

    def _ring_in_force(self) -> Sequence[RingChange]:
        return () if self._ring is None else (self._ring,)

    def _loop_ended(self) -> None:
        if self.place.is_in_child():
            return  # the loop and what is in it are the parent's
        ended = "was still open when its event loop ended"
        try:
            for life, opened_at in self._lives.items():
                self._warn(f"group {life.membership.name!r} {ended}; joined at {opened_at}")
                self._warn_of_readers(life.pump.hub, ended)
            self._warn_of_readers(self.rings, ended)
            for watch in self.quorum.watches:
                self._warn(f"quorum() {ended}; opened at {watch.opened_at}")
            self._warn(f"a connection {ended}; opened at {self._opened_at}")
        finally:
            self.abandon()  # also where warnings are errors

    def __del__(self) -> None:
        # Only a loop that was thrown away without being shut down leads here: until then the loop holds us.
        link: Link | None = getattr(self, "link", None)
        if link is None or link.is_closed or link.error is not None or self.place.is_in_child():
            return
        link.close()
        try:
            self._warn(f"a connection was never closed; opened at {self._opened_at}")
        finally:
            link.engine.abandon()

    def _warn_of_readers(self, hub: Hub[Any], ended: str) -> None:
        for reader in hub.readers:
            self._warn(f"{reader.name} {ended}; opened at {reader.opened_at}")

    def _warn(self, text: str) -> None:
        warnings.warn(text, ResourceWarning, source=self, stacklevel=2)


async def _leave(life: Life) -> None:
    try:
        await life.leave()
    except CPGError as error:
        # It was given up, which is what closing wants; the other groups still leave in order.
        life.pump.log(logging.WARNING, "! group %r: could not be left: %s", life.membership.name, error)
