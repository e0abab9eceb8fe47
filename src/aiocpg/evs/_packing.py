"""
Packing: the messages of one turn of the loop travel in one frame, as many as fit. Pure.

What is put is only noted. A frame is built of all its messages at once, column by column, in a third of the time that
it takes message by message.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from operator import itemgetter
from typing import Generic, TypeVar

from aiocpg._events import Guarantee
from aiocpg.evs._wire.data import HEAD_SIZE, MAX_SETS, RECORD_SIZE, Record, kind_of, pack_body

T = TypeVar("T")

MESSAGE_OVERHEAD = 64
"""Bytes that a message counts in the window besides its payload."""

MESSAGES_PER_FRAME = 2048
"""Messages that are packed into one frame at the most. Of more, what a frame costs is hardly noticed any more."""

_UNORDERED, _SAFE = int(Guarantee.UNORDERED), int(Guarantee.SAFE)

_guarantee, _keys, _data = itemgetter(0), itemgetter(1), itemgetter(3)


class Packed(Generic[T]):
    """
    The messages of one frame, and what belongs to each.

    Args:
        records: The messages, at least one.
        tags: What belongs to each.

    Attributes:
        cost: What they count in the window.
        unordered: What belongs to the messages that overtake, in order.
        ordered: To those that do not, up to the first SAFE one.
        safe: To the rest. It is in these three parts that they are delivered, see ``Intake.sort``.
    """

    __slots__ = ("_records", "cost", "ordered", "safe", "unordered")

    def __init__(self, records: Sequence[Record], tags: list[T]) -> None:
        self._records = records
        self.cost = sum(map(len, map(_data, records))) + MESSAGE_OVERHEAD * len(records)
        self.unordered: list[T] = []
        self.ordered: list[T] = []
        self.safe: list[T] = []
        self._sort(tags)

    def _sort(self, tags: list[T]) -> None:
        guarantees = list(map(_guarantee, self._records))
        if _are_equal(guarantees) and guarantees[0] not in (_UNORDERED, _SAFE):
            self.ordered = tags
            return
        for guarantee, tag in zip(guarantees, tags, strict=True):
            if guarantee == _UNORDERED:
                self.unordered.append(tag)
            elif guarantee == _SAFE or self.safe:
                self.safe.append(tag)
            else:
                self.ordered.append(tag)

    def weigh(self, size: int) -> int:
        """Let it count as one message of so many bytes; returns what that is more in the window."""
        before, self.cost = self.cost, size + MESSAGE_OVERHEAD
        return self.cost - before

    @property
    def is_safe(self) -> bool:
        """Whether some message is SAFE."""
        return bool(self.safe)

    def body(self) -> bytes:
        """The frame's bytes behind its header. To be asked for once: they are not kept, nor are the messages."""
        guarantees, keys, metas, payloads = zip(*self._records, strict=True)
        self._records = ()
        sizes = list(map(len, payloads))
        sets = {keys: place for place, keys in enumerate(dict.fromkeys(keys))}
        if len(sets) == 1 and _are_equal(guarantees) and not any(metas):
            kinds = [kind_of(guarantees[0], 0, 0)] * len(sizes)
        else:
            kinds = list(map(kind_of, guarantees, map(sets.__getitem__, keys), map(len, metas)))
            payloads = tuple(piece for both in zip(metas, payloads, strict=True) for piece in both)
        return pack_body(sets, kinds, sizes, payloads)


class Packer(Generic[T]):
    """
    Messages that wait for their frames to be sent.

    Args:
        max_frame: Bytes of a frame. A single message may make one that is larger.

    Attributes:
        add_record: One more message,
        add_tag: and what belongs to it.
    """

    def __init__(self, max_frame: int) -> None:
        self._max_frame = max_frame
        self._records: list[Record] = []
        self._tags: list[T] = []
        self.add_record, self.add_tag = self._records.append, self._tags.append

    def __len__(self) -> int:
        return len(self._records)

    def take(self) -> Packed[T]:
        """The next frame, in the order in which its messages were put; there must be one."""
        count = _fitting(self._records[:MESSAGES_PER_FRAME], self._max_frame)
        frame = Packed(self._records[:count], self._tags[:count])
        del self._records[:count], self._tags[:count]
        return frame


def _fitting(records: Sequence[Record], limit: int) -> int:
    """How many of these, from the first on, go into a frame of so many bytes. The first always does."""
    sizes = [RECORD_SIZE + len(meta) + len(data) for _, _, meta, data in records]
    sets = dict.fromkeys(map(_keys, records))
    if len(sets) > 1:
        sizes = sizes[: _add_sets(sizes, records)]
    else:
        sizes[0] += 1 + len(records[0][1])
    ends = list(accumulate(sizes, initial=HEAD_SIZE))
    return max(1, bisect_right(ends, limit) - 1)


def _add_sets(sizes: list[int], records: Sequence[Record]) -> int:
    """Add each set of groups to the size of the message that brings it; returns before which one they are too many."""
    seen: set[bytes] = set()
    for place, (_, keys, _, _) in enumerate(records):
        if keys not in seen:
            if len(seen) == MAX_SETS:
                return place
            seen.add(keys)
            sizes[place] += 1 + len(keys)
    return len(records)


def _are_equal(guarantees: Sequence[int]) -> bool:
    return guarantees.count(guarantees[0]) == len(guarantees)
