"""
The quorum of one connection: who watches it, what is known of it, and being told again after a loss.

Of all states only the newest counts. The engine is asked when somebody first wants to know, and tells from then on; its
word is worth nothing while the daemon is gone or does not answer, so then the state is not known.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol
from weakref import WeakSet

import anyio

from aiocpg._comeback import Comeback, for_good, may_pass
from aiocpg._loop import LoopPort
from aiocpg._quorum_watch import Attention, QuorumWatch, unknown_by
from aiocpg._state.quorum import NoQuorumProvider, QuorumState, QuorumUnknown
from aiocpg._state.reconnect import Reconnect
from aiocpg.engine._base import Engine
from aiocpg.errors import ConnectionLostError, CPGError

_NOT_ASKED = QuorumUnknown("nothing has been told yet")
_SILENT = QuorumUnknown("the daemon does not answer")


class Surroundings(Protocol):
    """What the quorum needs of its connection."""

    def check_open(self) -> None:
        """Raise why nothing new can be done, if so."""

    def check_usable(self) -> None:
        """Raise where the connection must not be used: after a fork, in another loop."""

    async def ask(self, question: Callable[[Engine], Awaitable[None]]) -> None:
        """Put a question to the engine."""

    @property
    def is_stalled(self) -> bool:
        """Whether the daemon does not answer."""


class QuorumKeeper:
    """
    Knows the newest state, and tells those who watch.

    Args:
        port: The loop.
        policy: How to be told again after a loss; None where a loss is the end.
        connection: Where it belongs.
    """

    def __init__(self, port: LoopPort, policy: Reconnect | None, connection: Surroundings) -> None:
        self._port = port
        self._policy = policy
        self._connection = connection
        self._told: QuorumState = _NOT_ASKED
        self._is_told = False
        self._asking = anyio.Lock()
        self._comeback: Comeback[_Nothing] | None = None
        self._watches: WeakSet[Attention] = WeakSet()

    async def open(self, opened_at: str) -> QuorumWatch:
        """Somebody watches. Raises what keeps the engine from telling."""
        self._connection.check_open()
        await self._until_told()
        self._connection.check_open()  # it may have been closed, or lost, while the answer was on its way
        attention = Attention(lambda: self.state, opened_at)
        self._watches.add(attention)
        return QuorumWatch(attention, self._port.signal(), self._connection.check_usable)

    @property
    def state(self) -> QuorumState:
        """What is known now."""
        return _SILENT if self._connection.is_stalled and self._needs_daemon else self._told

    @property
    def is_pulse_wanted(self) -> bool:
        """Whether somebody relies on the state, which is that of a daemon: one that is stopped tells no other."""
        return bool(self.watches) and self._needs_daemon

    @property
    def _needs_daemon(self) -> bool:
        return not isinstance(self._told, NoQuorumProvider)

    @property
    def watches(self) -> list[Attention]:
        """Those that somebody holds and has not closed."""
        return [watch for watch in self._watches if not watch.is_ended]

    async def _until_told(self) -> None:
        async with self._asking:
            if not (self._is_told and self._is_believed):
                await self._connection.ask(self._begin)

    @property
    def _is_believed(self) -> bool:
        # While nobody watches no sign of life is asked for: the daemon may have stood still since it told this, for
        # those who look for a moment at each request for ever. Of one that is known to, the state says so.
        return not self._needs_daemon or bool(self.watches) or self._connection.is_stalled

    async def _begin(self, engine: Engine) -> None:
        if self._is_told:
            await engine.ping()
        if not self._is_told:  # not yet, or lost meanwhile
            await engine.watch_quorum(self)
            self._is_told = True

    def on_quorum(self, state: QuorumState) -> None:
        """See :class:`aiocpg.engine._base.QuorumListener`."""
        self._told = state
        self.look()

    def on_quorum_lost(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine._base.QuorumListener`."""
        self._forget(unknown_by(error))
        if self._policy is None:
            self.end(error)
        elif may_pass(error):
            self.on_back()
        else:
            self.end(for_good(error))

    def on_away(self, error: ConnectionLostError) -> None:
        """The engine was lost, and another one is looked for."""
        self._forget(unknown_by(error))

    def _forget(self, state: QuorumState) -> None:
        self._is_told = False
        self._told = state
        self.look()

    def on_back(self) -> None:
        """There is an engine again, or still, that has to be asked anew for those who watch."""
        if self._policy is not None and self._comeback is None and self.watches:
            self._comeback = Comeback(
                self._port, self._policy, "the quorum", self._ask_again, self._asked_again, self._given_up
            )

    async def _ask_again(self) -> _Nothing:
        await self._until_told()
        return _Nothing()

    def _asked_again(self, _: _Nothing) -> None:
        self._comeback = None
        if not self._is_told:  # lost again before this turn
            self.on_back()

    def _given_up(self, error: CPGError) -> None:
        self._comeback = None
        self.end(for_good(error))

    def look(self) -> None:
        """The state may be another one: wake those who wait for that."""
        for watch in self.watches:
            watch.wake()

    def end(self, error: CPGError | None = None) -> None:
        """Nothing more is told to those who watch; they get this error, or the end. Repeating does nothing."""
        if self._comeback is not None:
            self._comeback.cancel()
            self._comeback = None
        for watch in self.watches:
            watch.end(error)


class _Nothing(NamedTuple):
    """What asking again gives: the state comes by itself."""

    def abandon(self) -> None:
        """There is nothing to give back."""
