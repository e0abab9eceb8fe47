"""
Packing: the messages of one turn of the loop travel in one frame, as many as fit. Pure.

A frame is built while messages are put, because a pass over them less is a fifth of what a small one costs.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from aiocpg._events import Guarantee
from aiocpg.evs._wire.data import HEAD_SIZE, MAX_RECORDS, MAX_SETS, RECORD_SIZE, Record, pack_body, pack_record

T = TypeVar("T")

MESSAGE_OVERHEAD = 64
"""Bytes that a message counts in the window besides its payload."""

_UNORDERED, _SAFE = int(Guarantee.UNORDERED), int(Guarantee.SAFE)


class Packed(Generic[T]):
    """
    The messages of one frame, and what belongs to each.

    Attributes:
        cost: What they count in the window.
        size: Bytes of the frame.
        unordered: What belongs to the messages that overtake, in order.
        ordered: To those that do not, up to the first SAFE one.
        safe: To the rest. It is in these three parts that they are delivered, see ``Intake.sort``.
    """

    __slots__ = ("_heads", "_keys", "_payload", "_place", "_sets", "cost", "ordered", "safe", "size", "unordered")

    def __init__(self) -> None:
        self._heads: list[bytes] = []
        self._payload: list[bytes] = []
        self._sets: dict[bytes, int] = {}
        self._keys: bytes | None = None
        self._place = 0
        self.cost = 0
        self.size = HEAD_SIZE
        self.unordered: list[T] = []
        self.ordered: list[T] = []
        self.safe: list[T] = []

    def put(self, record: Record, tag: T, limit: int) -> bool:
        """One more, if a frame of so many bytes has room for it; the first always fits."""
        guarantee, keys, meta, data = record
        size = len(data)
        whole = self.size + RECORD_SIZE + len(meta) + size
        if keys is not self._keys:
            if keys not in self._sets:
                whole += 1 + len(keys)
            is_full = len(self._sets) == MAX_SETS or len(self._heads) == MAX_RECORDS
            if self._heads and (is_full or whole > limit):
                return False
            self._keys, self._place = keys, self._sets.setdefault(keys, len(self._sets))
        elif whole > limit or len(self._heads) == MAX_RECORDS:
            return False
        self._heads.append(pack_record(guarantee, self._place, len(meta), size))
        if meta:
            self._payload.append(meta)
        self._payload.append(data)
        self.size = whole
        self.cost += size + MESSAGE_OVERHEAD
        if guarantee == _UNORDERED:
            self.unordered.append(tag)
        elif guarantee == _SAFE or self.safe:
            self.safe.append(tag)
        else:
            self.ordered.append(tag)
        return True

    def weigh(self, size: int) -> int:
        """Let it count as one message of so many bytes; returns what that is more in the window."""
        before, self.cost = self.cost, size + MESSAGE_OVERHEAD
        return self.cost - before

    @property
    def is_safe(self) -> bool:
        """Whether some message is SAFE."""
        return bool(self.safe)

    def body(self) -> bytes:
        """The frame's bytes behind its header."""
        return pack_body(self._sets, b"".join(self._heads), self._payload)

    def forget(self) -> None:
        """The bytes are needed no more; what belongs to the messages is."""
        self._heads, self._payload = [], []


class Packer(Generic[T]):
    """
    Messages that wait for their frames to be sent.

    Args:
        max_frame: Bytes of a frame. A single message may make one that is larger.
    """

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._frames: deque[Packed[T]] = deque()
        self._open: Packed[T] | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, record: Record, tag: T) -> None:
        """One more message."""
        if self._open is None or not self._open.put(record, tag, self._max_frame):
            self._open = Packed()
            self._frames.append(self._open)
            self._open.put(record, tag, self._max_frame)

    def take(self) -> Packed[T]:
        """The next frame, in the order in which its messages were put; there must be one."""
        frame = self._frames.popleft()
        if frame is self._open:
            self._open = None
        return frame
