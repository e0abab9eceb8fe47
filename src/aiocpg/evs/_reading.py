"""Taking in what comes out of a domain's CPG group, as much in a turn of the loop as is fair to the others in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from aiocpg import Group
from aiocpg._events import Event, Message
from aiocpg._loop import LoopPort
from aiocpg._stream import Tap
from aiocpg.errors import CPGError, SlowConsumerError

BYTES_PER_TURN = 128 * 1024
"""Bytes of frames that are taken in before the loop has its turn: a full frame, some two thousand small messages."""

Batch: TypeAlias = Sequence[Event]


class Taker(Protocol):
    """Who is told of what comes. It is told by callbacks, which return soon."""

    def on_batch(self, batch: Batch) -> None:
        """Events, in their order."""

    def on_missed(self, error: SlowConsumerError) -> None:
        """Events were lost here."""

    def on_end(self, error: CPGError | None) -> None:
        """Nothing more comes, because of this, or because this side has left."""

    def on_crash(self, error: BaseException) -> None:
        """One of these calls has raised."""


class Reading:
    """
    Reads one membership of a CPG group.

    There is no task between: a frame is taken in within the turn of the loop in which it came, and answered there.

    Args:
        group: The group, just joined.
        port: The loop.
        taker: Who is told.
    """

    def __init__(self, group: Group, port: LoopPort, taker: Taker) -> None:
        self._port = port
        self._taker = taker
        self._parts: deque[Batch] = deque()
        self._is_busy = True  # it reads, or will go on with it; what arrives meanwhile is seen then
        self._tap: Tap[Event] = Tap(group.events(), self._arrived)

    def begin(self) -> None:
        """Read what has come already, and what will."""
        self._read()

    def close(self) -> None:
        """Tell nothing more. Repeating does nothing."""
        self._parts.clear()
        self._tap.close()

    def _arrived(self) -> None:
        if not self._is_busy:
            self._read()

    def _read(self) -> None:
        self._is_busy = True
        try:
            self._read_part()
        except BaseException as error:  # who is told has to end what it does, for nothing is read any more
            self._taker.on_crash(error)
            if not isinstance(error, Exception):
                raise
            return
        self._is_busy = bool(self._parts) or self._tap.has_something
        if self._is_busy:
            self._port.call_soon(self._read, self._taker.on_crash)

    def _read_part(self) -> None:
        if not self._parts and self._tap.has_something:
            try:
                batch = self._tap.take()
            except SlowConsumerError as error:
                self._taker.on_missed(error)
                return
            except CPGError as error:
                self._end(error)
                return
            if not batch:
                self._end(None)
                return
            self._parts.extend(_parts(batch))
        if self._parts:
            self._taker.on_batch(self._parts.popleft())

    def _end(self, error: CPGError | None) -> None:
        self._tap.close()
        self._taker.on_end(error)


def _parts(batch: Batch) -> Iterator[Batch]:
    """A batch in parts that are each taken in within one turn of the loop."""
    start = size = 0
    for place, event in enumerate(batch):
        if type(event) is Message:
            size += len(event.data)
        if size >= BYTES_PER_TURN:
            yield batch[start : place + 1]
            start, size = place + 1, 0
    if start < len(batch):
        yield batch[start:]
