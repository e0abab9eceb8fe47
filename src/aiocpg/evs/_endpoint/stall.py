"""When what is held is said to be stalled, when all are asked where they stand, and when a laggard is to be evicted."""

from __future__ import annotations

import enum

FIRST_PAUSE_SECONDS = 1.0
MOST_PAUSE_SECONDS = 10.0
"""Pauses between two requests grow from the first to the second."""

MOST_EXCUSES = 3
"""In one stage. A loop that is late each time would wait for ever else."""


class Due(enum.Flag):
    """What is to be done now."""

    NOTHING = 0
    TELL = enum.auto()
    """Readers are to be told that it stalls."""
    ASK = enum.auto()
    EVICT = enum.auto()


class StallWatch:
    """
    Watches one thing: whether what is held moves, or waits for something else at least.

    Args:
        stall_timeout: Seconds without a move after which it counts as stalled.
        evict_after: Seconds after which a laggard is to go; None: never.

    Attributes:
        is_stalled: Whether readers have been told.
    """

    def __init__(self, stall_timeout: float, evict_after: float | None) -> None:
        self._timeout = stall_timeout
        self._evict_after = evict_after
        self._held: object = None
        self._held_since = 0.0
        self._stage: object = None
        self._since = 0.0
        self._told: frozenset[object] = frozenset()
        self._next_ask = 0.0
        self._pause = FIRST_PAUSE_SECONDS
        self._evict_from = 0.0
        self._patience = evict_after or 0.0
        self._excuses = MOST_EXCUSES
        self.is_stalled = False

    def watch(self, held: object, stage: object, now: float) -> float | None:
        """
        See what is held, and what for; returns how long it had stalled, if it goes on.

        Args:
            held: What is held now, None for nothing; each move makes it another.
            stage: What it waits for. Another one gives those who are waited for their time anew, and is no move.
            now: The time.
        """
        if held == self._held:
            if stage != self._stage:
                self._begin(stage, now)
            return None
        stalled_for = now - self._held_since if self.is_stalled else None
        self._held = held
        self._held_since = now
        self.is_stalled = False
        self._told = frozenset()
        self._begin(stage, now)
        return stalled_for

    def _begin(self, stage: object, now: float) -> None:
        self._stage = stage
        self._since = now
        self._pause = FIRST_PAUSE_SECONDS
        self._next_ask = now + self._timeout
        self._evict_from = now
        self._patience = self._evict_after or 0.0
        self._excuses = MOST_EXCUSES

    def excuse(self, late: float) -> None:
        """
        A timer came so late, in seconds: we stood still ourselves, and who answered meanwhile has not been heard.

        That time counts for nobody, and what has come gets some more to be read in. A little is what timers always are.
        """
        if self._excuses and late > self._timeout / 4:
            self._excuses -= 1
            more = late + self._timeout / 2
            self._since += more
            self._next_ask += more
            self._evict_from += more

    def is_time(self, now: float) -> bool:
        """Whether there may be something to do."""
        return self._held is not None and now >= self._since + self._timeout

    def due(self, laggards: frozenset[object], now: float, known: frozenset[object] = frozenset()) -> Due:
        """
        What is to be done now.

        Args:
            laggards: Who is waited for.
            now: The time.
            known: Who was evicted a short while ago. They have had their time, and are to go as soon as they stall.
        """
        if not self.is_time(now):
            return Due.NOTHING
        due = Due.NOTHING
        if laggards != self._told or not self.is_stalled:
            self.is_stalled, self._told = True, laggards
            due |= Due.TELL
        if now >= self._next_ask:
            self._next_ask = now + self._pause
            self._pause = min(2 * self._pause, MOST_PAUSE_SECONDS)
            due |= Due.ASK
        if self._evict_after is not None:
            self._patience = self._timeout if laggards & known else self._evict_after
            if now >= self._evict_from + self._patience:
                self._evict_from = now
                due |= Due.EVICT
        return due

    def since(self, now: float) -> float:
        """Seconds that those who are waited for have let us wait."""
        return now - self._since

    @property
    def deadline(self) -> float | None:
        """When :meth:`due` is to be asked at the latest; None where nothing is held."""
        if self._held is None:
            return None
        first = self._since + self._timeout
        evict = [] if self._evict_after is None else [self._evict_from + self._patience]
        return max(first, min([self._next_ask, *evict]))
