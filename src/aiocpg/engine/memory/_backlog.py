"""What waits for one member, in its order, and how much of it is handed out at a time. No loop, no lock."""

from __future__ import annotations

import random
from collections import deque

from aiocpg._state.history import Record
from aiocpg._state.inbox import EVENT_OVERHEAD
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN

MOST_UNDRAINED = 64 * 1024 * 1024
"""Bytes that may wait for one member, counted as payload + 256 per record. A loop that runs drains them at once."""


class Backlog:
    """
    Records between the order and one member.

    Args:
        seed: Of the portions, where they are left to chance.
    """

    def __init__(self, seed: str) -> None:
        self._records: deque[Record] = deque()
        self._bytes = 0
        self._random = random.Random(seed)
        self._most: int | None = None
        self._ripe = 0

    def put(self, record: Record) -> None:
        """One more."""
        self._records.append(record)
        self._bytes += EVENT_OVERHEAD + (len(record[1]) if isinstance(record, tuple) else 0)

    @property
    def is_full(self) -> bool:
        """Whether more waits than may."""
        return self._bytes > MOST_UNDRAINED

    def __len__(self) -> int:
        return len(self._records)

    @property
    def has_ripe(self) -> bool:
        """Whether :meth:`take` gives something."""
        return len(self._records) > 0 if self._most is None else self._ripe > 0

    def portion(self, most: int | None) -> None:
        """From now on 0 to ``most`` records more can be taken after each :meth:`step`; None: all, at any time."""
        self._most = most
        self._ripe = 0

    def step(self) -> None:
        """The loop has gone round."""
        if self._most is not None:
            self._ripe = min(len(self._records), self._ripe + self._random.randint(0, self._most))

    def take(self) -> list[Record]:
        """What is to be had now, up to the budget of one drain; the record that passes it is still taken."""
        if self._most is None and len(self._records) <= MAX_EVENTS_PER_DRAIN and self._bytes <= MAX_BYTES_PER_DRAIN:
            # In this order, so that what the collector may put meanwhile is in one of the two.
            fresh: deque[Record] = deque()
            records, self._records = self._records, fresh
            self._bytes = 0
            return list(records)
        return self._take_some()

    def _take_some(self) -> list[Record]:
        taken: list[Record] = []
        room = MAX_BYTES_PER_DRAIN
        most = MAX_EVENTS_PER_DRAIN if self._most is None else min(MAX_EVENTS_PER_DRAIN, self._ripe)
        while self._records and len(taken) < most and room > 0:
            record = self._records.popleft()
            taken.append(record)
            size = len(record[1]) if isinstance(record, tuple) else 0
            room -= size
            self._bytes -= EVENT_OVERHEAD + size
        self._ripe -= min(self._ripe, len(taken))
        return taken

    def clear(self) -> None:
        """Nobody wants it any more."""
        self._records.clear()
        self._bytes = self._ripe = 0
