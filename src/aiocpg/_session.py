"""One open engine in one event loop: who hears of its rings and its loss, and who cleans up when the loop ends."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import anyio

from aiocpg._events import RingChange
from aiocpg._group import Life
from aiocpg._hub import Hub
from aiocpg._lag import LagWatch
from aiocpg._loop import LoopEnd, LoopPort
from aiocpg._place import Place
from aiocpg.engine._base import Engine
from aiocpg.errors import ConnectionClosedError, CPGError, GroupClosedError

log = logging.getLogger("aiocpg")


class Session:
    """
    Owns an engine and the memberships opened through it.

    Attributes:
        engine: The engine.
        place: Where it belongs.
        rings: The readers of rings.
        lag: The watch over the loop.
        error: Why it is over, where it was not closed.
        is_closed: Whether this side has closed it, or begun to.
    """

    def __init__(self, engine: Engine, port: LoopPort, opened_at: str) -> None:
        self.engine = engine
        self.place = Place(port)
        self.rings: Hub[RingChange] = Hub(None, self._ring_in_force, self.place.check)
        self.lag = LagWatch(port)
        self.error: CPGError | None = None
        self.is_closed = False
        self._ring: RingChange | None = None
        self._lives: dict[Life, str] = {}
        self._opened_at = opened_at
        self._end = LoopEnd(self._loop_ended)
        engine.listen(self)

    def on_ring(self, change: RingChange) -> None:
        """See :class:`aiocpg.engine._base.RingListener`."""
        self._ring = change
        self.rings.publish([change])

    def on_lost(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine._base.RingListener`."""
        log.warning("%s", error)
        self.error = error
        self.rings.end(error)
        # The engine has given everything back, and each group hears of its own loss: nothing is open any more.
        self._end.cancel()
        self.lag.stop()

    def check_open(self) -> None:
        """Raise why nothing new can be done, if so."""
        self.place.check()
        if self.is_closed:
            raise ConnectionClosedError
        if self.error is not None:
            raise self.error.fresh()

    async def join(self, name: bytes, max_buffered_bytes: int, opened_at: str) -> Life:
        """Become a member."""
        self.check_open()
        membership = await self.engine.join(name)
        if self.is_closed:  # while the engine's answer was on its way
            membership.abandon()
            raise ConnectionClosedError
        life = Life(membership, self.place, max_buffered_bytes, self._forget)
        self._lives[life] = opened_at
        try:
            await life.begin()
        except GroupClosedError:  # nobody holds the group yet: it was closed with everything
            raise ConnectionClosedError from None
        return life

    def _forget(self, life: Life) -> None:
        self._lives.pop(life, None)

    async def aclose(self, seconds: float) -> None:
        """Leave all groups and close, within so many seconds. What still waits then, or when cancelled, is given up."""
        if self.is_closed or self.place.is_in_child():
            return
        self.place.check()
        self.is_closed = True
        try:
            with anyio.move_on_after(seconds):
                await self._leave_all()
                await self.engine.aclose()
        finally:
            self.abandon()

    async def _leave_all(self) -> None:
        async with anyio.create_task_group() as tasks:
            for life in list(self._lives):
                tasks.start_soon(_leave, life)

    def abandon(self) -> None:
        """Give everything up at once."""
        self.is_closed = True
        self._end.cancel()
        self.lag.stop()
        for life in list(self._lives):
            life.abandon()
        self.engine.abandon()
        self.rings.end()

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
            self._warn(f"a connection {ended}; opened at {self._opened_at}")
        finally:
            self.abandon()  # also where warnings are errors

    def __del__(self) -> None:
        # Only a loop that was thrown away without being shut down leads here: until then the loop holds us.
        if getattr(self, "is_closed", True) or self.error is not None or self.place.is_in_child():
            return
        self.is_closed = True
        try:
            self._warn(f"a connection was never closed; opened at {self._opened_at}")
        finally:
            self.engine.abandon()

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
        log.warning("group %r could not be left: %s", life.membership.name, error)
