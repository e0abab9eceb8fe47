"""How long an endpoint that was put out waits before it comes back as a newcomer. No I/O: time is given."""

from __future__ import annotations

import random

FIRST_PAUSE_SECONDS = 0.05
MOST_PAUSE_SECONDS = 5.0
"""Pauses before coming back grow from the first to the second while the endpoint keeps being put out."""

QUIET_SECONDS = 60.0
"""A life that lasted so long was a good one: the pause behind it is the first again."""


class Returns:
    """The lives of an endpoint, as far as the pauses between them go."""

    def __init__(self) -> None:
        self._number = 0
        self._begun: float | None = None

    def begin(self, now: float) -> None:
        """A life has begun."""
        self._begun = now

    def pause(self, now: float) -> float:
        """It was put out: seconds until the next try, at random, since others may have been put out with it."""
        if self._begun is not None and now >= self._begun + QUIET_SECONDS:
            self._number = 0
        self._begun = None
        pause: float = min(FIRST_PAUSE_SECONDS * 2 ** min(self._number, 16), MOST_PAUSE_SECONDS)
        self._number += 1
        return random.uniform(pause / 2, pause)
