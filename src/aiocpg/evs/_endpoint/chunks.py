"""
Putting together messages that came in pieces.

All pieces of a message stand in one view, or it is not delivered: who joined, or merged, between two of them would have
half of it, and members of one view deliver the same. Its sender sees that, and sends it anew in the next view. A sender
has one such message on its way at a time, so a receiver holds at most one for each member, whatever a member sends: no
more bytes of it than came, in one buffer and not in pieces, of which an object each would cost more than a small piece.
"""

from __future__ import annotations

from aiocpg._events import Address
from aiocpg.evs._wire.meta import ABORTED, Chunk

MAX_MESSAGE = 1024 * 1024 * 1024
"""Bytes that a message in pieces may have in all. A larger one is not put together by anybody."""


class _Partial:
    __slots__ = ("data", "expected", "name", "total")

    def __init__(self, name: tuple[int, int], total: int) -> None:
        self.name = name
        self.total = total
        self.expected = 0
        self.data = bytearray()


class Assembly:
    """The pieces of one view."""

    def __init__(self) -> None:
        self._partial: dict[Address, _Partial] = {}

    @property
    def held(self) -> int:
        """Bytes that are waiting for the rest of their messages."""
        return sum(len(partial.data) for partial in self._partial.values())

    def has_begun(self, source: Address, incarnation: int, chunk: Chunk) -> bool:
        """Whether the pieces of its message that came so far are together, and some are missing."""
        partial = self._partial.get(source)
        return partial is not None and partial.name == (incarnation, chunk.id)

    def take(self, source: Address, incarnation: int, chunk: Chunk, data: bytes) -> bytes | None:
        """Add a piece; returns the message if that was the last."""
        name = incarnation, chunk.id
        if chunk.place == 0 and chunk.total <= MAX_MESSAGE:
            self._partial[source] = _Partial(name, chunk.total)
        partial = self._partial.get(source)
        if partial is None or partial.name != name:
            return None  # its beginning was before this view, or was given up
        size = len(partial.data) + len(data)
        is_next = chunk.place == partial.expected and chunk.total == partial.total and size <= partial.total
        if chunk.place == ABORTED or not is_next:
            del self._partial[source]
            return None
        partial.expected += 1
        partial.data += data
        if size < partial.total:
            return None
        del self._partial[source]
        return bytes(partial.data)
