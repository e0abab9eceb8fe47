"""
The one bounded record of what was told, which all browsers read, each at its own place. No I/O, no clock.

A queue per browser would hold the same frames once more each. Here a browser's queue is a number: the place of the
frame it gets next. What is kept for the slowest is kept for those who come back, too; a browser whose frame is no
longer kept is too slow, or was away for too long.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

FRAME_COST = 256
"""Bytes that a kept frame counts for besides what it carries."""


class Frame(NamedTuple):
    """What one WebSocket message carries, encoded once for all."""

    data: bytes
    is_text: bool


def frame(encoded: str | bytes) -> Frame:
    """Text becomes a text message, bytes a binary one."""
    return Frame(encoded.encode(), True) if isinstance(encoded, str) else Frame(bytes(encoded), False)


class Backlog:
    """
    Frames in their order, numbered from 1; the oldest go when there are too many bytes of them.

    Args:
        max_bytes: What may be kept: bytes carried plus :data:`FRAME_COST` each. The newest is kept in any case.

    Attributes:
        next: The number of the next frame.
        oldest: The number of the oldest frame that is kept; :attr:`next` where none is.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._frames: dict[int, Frame] = {}
        self._bytes = 0
        # Numbers of another process, or of the one before a restart, must not be taken for ours.
        self._name = secrets.token_hex(6)
        self.next = 1
        self.oldest = 1

    @property
    def next_id(self) -> str:
        """What the next frame will be known by outside."""
        return self.id_of(self.next)

    @property
    def last_id(self) -> str:
        """What the last frame is known by; before the first there is one as well."""
        return self.id_of(self.next - 1)

    def id_of(self, number: int) -> str:
        """What a frame is known by outside: not its number alone."""
        return f"{self._name}-{number}"

    def append(self, new: Frame) -> None:
        """Number a frame and keep it."""
        self._frames[self.next] = new
        self.next += 1
        self._bytes += len(new.data) + FRAME_COST
        while self._bytes > self._max_bytes and self.oldest < self.next - 1:
            gone = self._frames.pop(self.oldest)
            self._bytes -= len(gone.data) + FRAME_COST
            self.oldest += 1

    def at(self, number: int) -> Frame | None:
        """The frame of this number; None where it is not kept any more, or not there yet."""
        return self._frames.get(number)

    def after(self, id: str) -> int | None:
        """The number of the frame behind the one with this id; None where going on there would leave something out."""
        name, _, number = id.rpartition("-")
        if name != self._name or not (number.isascii() and number.isdecimal()) or len(number) > 19:
            return None
        following = int(number) + 1
        return following if self.oldest <= following <= self.next else None
