"""Sending one message that is larger than a frame: which piece is next, and when it has to begin anew. Pure."""

from __future__ import annotations

from aiocpg.evs._ticket import Ticket
from aiocpg.evs._wire import Record
from aiocpg.evs._wire.meta import ABORTED, Chunk, encode_chunk


class Pieces:
    """
    A message on its way in pieces.

    They all have to stand in one view, or nobody puts them together. So it begins anew, under another id, once it is
    certain that they do not: a piece came back that did not fit, or was lost, or the view in which the first ones stand
    is over. Not sooner, for pieces that are out may all stand in the view that comes, and the message would be
    delivered twice.

    Args:
        guarantee: Of the message.
        keys: Of its groups.
        data: The whole.
        size: Bytes of a piece.
        ticket: Learns what became of the message.
        meta: What the message carries besides, with each piece.

    Attributes:
        ticket: The same.
        is_whole: Whether it came back whole: it stands in the order.
        starts: How often it began.
    """

    def __init__(self, guarantee: int, keys: bytes, data: bytes, size: int, ticket: Ticket, meta: bytes = b"") -> None:
        self._guarantee = guarantee
        self._keys = keys
        self._data = memoryview(data)
        self._size = size
        self._meta = meta
        self._view: object = None  # in which those stand that came back
        self._has_failed = False
        self._id = 0
        self._place = 0
        self.ticket = ticket
        self.is_whole = False
        self.starts = 0

    @property
    def is_out(self) -> bool:
        """Whether all pieces were sent in this attempt."""
        return not self.needs_start and self._place * self._size >= len(self._data)

    @property
    def id(self) -> int:
        """The id of this attempt; 0 before the first."""
        return self._id

    @property
    def size(self) -> int:
        """Bytes of the message."""
        return len(self._data)

    @property
    def needs_start(self) -> bool:
        """Whether it has to begin, or to begin anew."""
        return not self.is_whole and (self.starts == 0 or self._has_failed)

    def start(self, id_: int) -> None:
        """Begin, under an id that is not 0."""
        self._view, self._has_failed, self._id, self._place = None, False, id_, 0
        self.starts += 1

    def came_back(self, id_: int, view: object) -> None:
        """A piece of that attempt stands in this view, with those before it; None: it does not."""
        if id_ == self._id:
            self._view = view
            self._has_failed |= view is None

    def look(self, view: object) -> None:
        """This is the newest view."""
        self._has_failed |= self._view is not None and self._view is not view

    def lose(self, id_: int) -> None:
        """A piece of that attempt was lost."""
        self._has_failed |= id_ == self._id

    def next(self) -> Record:
        """The next piece as a message."""
        start = self._place * self._size
        data = bytes(self._data[start : start + self._size])
        meta = encode_chunk(Chunk(self._id, self._place, len(self._data))) + self._meta
        self._place += 1
        return self._guarantee, self._keys, meta, data

    def abort(self) -> Record | None:
        """A message that lets everybody forget the pieces they have; None where nobody has any."""
        if self.is_whole or not self._place:
            return None
        return self._guarantee, self._keys, encode_chunk(Chunk(self._id, ABORTED, len(self._data))), b""
