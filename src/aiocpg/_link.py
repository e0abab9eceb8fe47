"""
The engine at hand: there, away for a while, or over. Who asks for it while it is away waits.

Without a way back a loss is the end. With one, another engine is opened beside the program, as often as it takes.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import anyio

from aiocpg._comeback import Comeback, for_good, may_pass
from aiocpg._events import RingChange
from aiocpg._loop import LoopPort
from aiocpg._state.reconnect import Reconnect
from aiocpg.engine._base import Engine
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError, EngineUnavailableError

log = logging.getLogger("aiocpg")


class Return(NamedTuple):
    """How another engine is had when one is lost."""

    policy: Reconnect
    open: Callable[[], Awaitable[Engine]]


class LinkOwner(Protocol):
    """Who hears of the engine. All calls come in the loop."""

    def on_ring(self, change: RingChange) -> None:
        """See :class:`aiocpg.engine._base.RingListener`."""

    def on_away(self, error: ConnectionLostError) -> None:
        """The engine was lost, and another one is looked for."""

    def on_back(self) -> None:
        """There is another engine."""

    def on_over(self, error: CPGError) -> None:
        """It was lost for good. Everything of it is given back."""


class Link:
    """
    One engine after the other.

    Attributes:
        engine: The present one; while away, the one that was lost.
        error: Why it is over, where this side did not end it.
        is_closed: Whether this side has ended it, or begun to.
        returns: How often it has come back.
    """

    def __init__(self, engine: Engine, port: LoopPort, way_back: Return | None) -> None:
        self.engine = engine
        self.error: CPGError | None = None
        self.is_closed = False
        self.returns = 0
        self.policy = None if way_back is None else way_back.policy
        self._port = port
        self._way_back = way_back
        self._owner: LinkOwner | None = None
        self._away_since: float | None = None
        self._comeback: Comeback[Engine] | None = None
        self._changed = anyio.Event()

    def listen(self, owner: LinkOwner) -> None:
        """Begin to report."""
        self._owner = owner
        self.engine.listen(self)

    @property
    def is_away(self) -> bool:
        """Whether the engine is lost and another one is looked for."""
        return self._away_since is not None

    @property
    def away_for(self) -> float:
        """Seconds since the engine was lost; 0 while it is there."""
        return 0.0 if self._away_since is None else self._port.time() - self._away_since

    def check_open(self) -> None:
        """Raise why it is over, if it is."""
        if self.is_closed:
            raise ConnectionClosedError
        if self.error is not None:
            raise self.error.fresh()

    async def until_there(self) -> Engine:
        """The engine, when there is one. Raises why there will be none."""
        self.check_open()
        while self.is_away:
            await self._changed.wait()
            self.check_open()
        return self.engine

    def on_ring(self, change: RingChange) -> None:
        """See :class:`aiocpg.engine._base.RingListener`."""
        if self._owner is not None:
            self._owner.on_ring(change)

    def on_lost(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine._base.RingListener`."""
        if self._way_back is None:
            self._end(error)
        elif not may_pass(error):
            self._end(for_good(error))
        elif not self.is_closed:  # who is closing wants no way back
            self._go_away(error, self._way_back)

    def _go_away(self, error: ConnectionLostError, way_back: Return) -> None:
        log.warning("%s; coming back to it", error)
        self._away_since = self._port.time()
        what = "the connection"
        self._comeback = Comeback(self._port, way_back.policy, what, way_back.open, self._come_back, self._end)
        if self._owner is not None:
            self._owner.on_away(error)

    def _come_back(self, engine: Engine) -> None:
        if engine.max_message_size < self.engine.max_message_size:
            self._refuse(engine)
            return
        log.info("connected again after %.1f s", self.away_for)
        self.engine = engine
        self.returns += 1
        self._away_since = self._comeback = None
        engine.listen(self)
        self._turn()
        if self._owner is not None:
            self._owner.on_back()

    def _refuse(self, engine: Engine) -> None:
        # Messages that wait to be sent were checked against the old limit.
        engine.abandon()
        self._end(
            EngineUnavailableError(
                f"the daemon came back with a smaller limit for messages, {engine.max_message_size} bytes",
                "connect anew, and send smaller messages",
            )
        )

    def _end(self, error: CPGError) -> None:
        log.warning("%s", error)
        self._away_since = None
        self.error = error
        self._turn()
        if self._owner is not None:
            self._owner.on_over(error)

    def close(self) -> None:
        """This side ends it. Whoever waits is told. Repeating does nothing."""
        self.is_closed = True
        if self._comeback is not None:
            self._comeback.cancel()
        self._away_since = None
        self._turn()

    def _turn(self) -> None:
        reached, self._changed = self._changed, anyio.Event()
        reached.set()
