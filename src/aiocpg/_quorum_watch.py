"""What ``Connection.quorum()`` opens: the newest state of the quorum, and waiting for another one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from aiocpg._loop import Signal
from aiocpg._state.quorum import QuorumState, QuorumUnknown
from aiocpg.errors import BusyError, ConnectionLostError, CPGError, ForkedError

_CLOSED = QuorumUnknown("closed by this side")


def unknown_by(error: CPGError) -> QuorumUnknown:
    """The state after a loss."""
    return QuorumUnknown(error.reason if isinstance(error, ConnectionLostError) else str(error))


class Attention:
    """
    What one reader has seen.

    Args:
        newest: Gives the newest state.
        opened_at: Where the reader was opened.

    Attributes:
        arrived: Set when there may be something to take; the reader that waits puts it here.
        is_ended: Whether nothing more comes.
    """

    def __init__(self, newest: Callable[[], QuorumState], opened_at: str) -> None:
        self._newest = newest
        self.opened_at = opened_at
        self.arrived: Signal | None = None
        self.is_ended = False
        self._error: CPGError | None = None
        self._taken: QuorumState | None = None

    @property
    def state(self) -> QuorumState:
        """How it is now, taken or not."""
        if not self.is_ended:
            return self._newest()
        return _CLOSED if self._error is None else unknown_by(self._error)

    @property
    def has_news(self) -> bool:
        """Whether :meth:`take` would answer with another state than before, an error or the end."""
        return self.is_ended or self._newest() != self._taken

    def take(self) -> QuorumState:
        """The newest state. Raises what :meth:`end` was given, each time anew, or StopAsyncIteration."""
        if not self.is_ended:
            self._taken = self._newest()
            return self._taken
        if self._error is not None:
            raise self._error.fresh()
        raise StopAsyncIteration

    def wake(self) -> None:
        """The state may be another one."""
        if self.arrived is not None:
            self.arrived.set()

    def end(self, error: CPGError | None = None) -> None:
        """Nothing more comes. Repeating does nothing."""
        if not self.is_ended:
            self.is_ended = True
            self._error = error
            self.wake()


class QuorumWatch:
    """
    The quorum as this node's daemon sees it, for one reader at a time. Comes from :meth:`Connection.quorum`.

    :attr:`state` is how it is now. Iterating hands out the present state, then each change. Only the newest state
    counts: one that was over before it was read is left out, and a state equal to the one handed out last is not handed
    out again. So nothing piles up, and a slow reader is never behind.

    **There is no order between the quorum and the events of a group.** A change of the quorum may be seen before or
    after the :class:`View` that belongs to it. Nor do all nodes know it at once: a node that was cut off believes what
    it knew until its daemon has noticed, the token timeout of corosync.conf later.

    While somebody watches, the daemon is asked for a sign of life. When it gives none for ``stall_after`` seconds (2
    unless ``connect`` was told otherwise), or is lost, the state is :class:`QuorumUnknown`. With
    ``connect(reconnect=...)`` a loss is handed out as that state, and what the next daemon says follows; without,
    iterating raises :class:`ConnectionLostError`.

    Cancelling a read loses nothing.
    """

    def __init__(self, attention: Attention, arrival: Signal, usable: Callable[[], None]) -> None:
        self._attention = attention
        self._arrival = arrival
        self._usable = usable
        self._is_read = False

    @property
    def state(self) -> QuorumState:
        """
        How it is now; asks nobody. After the end, of this or of the connection, it is not known.

        Raises:
            ForkedError: This process is a fork of the one that opened it.
            UsageError: The caller runs in another thread or event loop.
        """
        self._usable()
        return self._attention.state

    def __aiter__(self) -> QuorumWatch:
        return self

    async def __anext__(self) -> QuorumState:
        """
        The state, as soon as it differs from the one handed out last.

        Raises:
            StopAsyncIteration: This side has closed.
            ConnectionLostError: The daemon went away; with ``reconnect`` never.
            EngineUnavailableError: With ``reconnect``: there is no way back.
            BusyError: Another task is reading this.
        """
        self._usable()
        if self._is_read:
            raise BusyError("quorum()")
        self._is_read = True
        try:
            await self._until_news()
        finally:
            self._is_read = False
        return self._attention.take()

    async def _until_news(self) -> None:
        while not self._attention.has_news:
            self._attention.arrived = self._arrival
            try:
                await self._arrival.wait()
            finally:
                self._attention.arrived = None

    async def aclose(self) -> None:
        """Stop watching; a waiting reader gets the end. Repeating does nothing."""
        with suppress(ForkedError):
            self._usable()
            self._attention.end()

    async def __aenter__(self) -> QuorumWatch:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<QuorumWatch: {self._attention.state}>"
