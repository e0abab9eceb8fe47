"""
Asynchronous iterators over an inbox: waiting, fairness and the rule of one reader. What comes in is decided below.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Generic, TypeVar

import anyio.lowlevel

from aiocpg._loop import Signal, current_port
from aiocpg._state.inbox import Inbox
from aiocpg.errors import BusyError, ForkedError

FAIR_CALLS = 64
"""A call that need not wait still lets the loop run once in so many,"""

FAIR_SECONDS = 0.001
"""when it has not run for so long. A turn of the loop costs as much as twenty small messages; and who does little with
each event has to read them as fast as they come, up to 256 in each turn."""

KEEPING_UP = 1024
"""Events that wait for a reader from which on it reads some more than these 256 in each turn, whatever it does with
them: it does not fall behind for the only reason that it is fair."""

_CALLS_TO_KEEP_UP = 320

T = TypeVar("T")


class Stream(Generic[T]):
    """
    Events in the agreed order, for one reader at a time.

    Iterate with ``async for``, or take all that is there with :meth:`receive_batch`. The stream ends when the group
    is left or the connection closed by this side; when the engine is lost it raises :class:`ConnectionLostError`
    after what had arrived.

    With ``connect(reconnect=...)`` a loss is a gap and not the end: ``events()`` hands out :class:`Disconnected` there,
    every other stream raises :class:`ConnectionLostError` once and goes on behind it.

    Each stream has its own budget (``max_buffered_bytes``); a reader that falls behind it gets
    :class:`SlowConsumerError` once, after what was kept, and may go on reading: the next event is the state then in
    force.

    Cancelling a read loses nothing. A stream that nobody holds stops collecting.
    """

    def __init__(self, inbox: Inbox[T], name: str, usable: Callable[[], None], taken: Callable[[], None]) -> None:
        self._inbox = inbox
        self._name = name
        self._usable = usable
        self._taken: Callable[[], None] | None = taken
        self._fair = FAIR_CALLS
        self._turn_ends = 0.0
        self._calls = 0
        self._arrival: Signal | None = None
        self._is_read = False

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        """
        The next event.

        Raises:
            StopAsyncIteration: This side has left or closed, and all that had arrived was read.
            ConnectionLostError: The engine went away, and all that had arrived was read. With ``reconnect`` raised once
                for each gap; reading may go on.
            EngineUnavailableError: With ``reconnect``: there is no way back, and all that had arrived was read.
            MembershipLostError: The group saw us go although we never left.
            SlowConsumerError: This reader fell behind its budget; said once, reading may go on.
            BusyError: Another task is reading this stream.
        """
        # As in receive_batch, and not in a function for both: that would be a coroutine more for each message.
        self._usable()
        if self._is_read:
            raise BusyError(self._name)
        self._fair -= 1
        if self._fair <= 0 or not (self._inbox.events or self._inbox.has_something):
            await self._wait()
        if self._taken is not None:
            self._tell_taken()
        return self._inbox.take()

    async def receive_batch(self) -> list[T]:
        """
        All events that are there, at least one; waits for the first. ``[]`` is the end.

        Cancelling loses nothing.

        Raises:
            ConnectionLostError: As in iterating; likewise the other errors of ``__anext__``.
        """
        self._usable()
        if self._is_read:
            raise BusyError(self._name)
        self._fair -= 1
        if self._fair <= 0 or not (self._inbox.events or self._inbox.has_something):
            await self._wait()
        self._tell_taken()
        return self._inbox.take_all()

    async def aclose(self) -> None:
        """Stop collecting and drop what was not read; a waiting reader gets the end. Repeating does nothing."""
        with suppress(ForkedError):
            self._usable()
            self._inbox.clear()

    async def __aenter__(self) -> Stream[T]:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Stream {self._name}>"

    def _tell_taken(self) -> None:
        if self._taken is not None:
            taken, self._taken = self._taken, None
            taken()

    async def _wait(self) -> None:
        inbox = self._inbox
        had_its_turns, self._fair = self._fair <= 0, FAIR_CALLS
        self._is_read = True
        try:
            if had_its_turns and inbox.has_something:
                if time.monotonic() < self._turn_ends or self._has_to_keep_up():
                    return
                # The yield stands before the event is taken, so that a cancellation here loses nothing.
                await anyio.lowlevel.checkpoint()
            if self._arrival is None:
                self._arrival = current_port().signal()  # for good: nobody else may use this stream
            while not (inbox.events or inbox.has_something):
                inbox.arrived = self._arrival
                await self._arrival.wait()
            self._turn_ends = time.monotonic() + FAIR_SECONDS
            self._calls = 0
        finally:
            self._is_read = False
            inbox.arrived = None

    def _has_to_keep_up(self) -> bool:
        self._calls += FAIR_CALLS
        return self._calls < _CALLS_TO_KEEP_UP and len(self._inbox.events) >= KEEPING_UP


class Tap(Generic[T]):
    """
    Reads a stream by callbacks, in the very turn of the loop in which something comes, instead of by a task.

    Args:
        stream: The stream; nobody else may read it.
        arrived: Called whenever there is something to take, perhaps at once. It must not raise.
    """

    def __init__(self, stream: Stream[T], arrived: Callable[[], None]) -> None:
        self._inbox = stream._inbox
        self._arrived: Callable[[], None] | None = arrived
        stream._tell_taken()
        self._inbox.arrived = self

    @property
    def has_something(self) -> bool:
        """Whether :meth:`take` would answer, be it with events, an error or the end."""
        return self._arrived is not None and self._inbox.has_something

    def take(self) -> list[T]:
        """What is there, as :meth:`Stream.receive_batch` gives it; to be called where there is something."""
        return self._inbox.take_all()

    def set(self) -> None:
        """Something came: see :class:`aiocpg._state.inbox.Flag`."""
        if self._arrived is not None:
            self._arrived()

    def close(self) -> None:
        """Call back no more, and take nothing more. Repeating does nothing."""
        self._arrived = None
        self._inbox.clear()
