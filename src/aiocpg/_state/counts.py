"""Histograms that grow, and the timing of one message at a time."""

from __future__ import annotations

from bisect import bisect_left

from aiocpg._statistics import Histogram

BATCHES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Messages in a drain."""

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From a lone message on a quiet ring to one that waits for a ring to form."""


class Buckets:
    """
    A histogram that grows.

    Args:
        bounds: The highest value of each bucket; one more takes what is above them.
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        """One more value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def snapshot(self) -> Histogram:
        """What there is so far."""
        return Histogram(self._bounds, tuple(self._counts), self._total)


class Timing:
    """
    Times one message at a time, from when it was taken until it is back.

    Attributes:
        is_running: Whether one is being timed; looked at with each send, so it is no property.
        seconds: How long they took.
    """

    def __init__(self) -> None:
        self.is_running = False
        self.seconds = Buckets(SECONDS)
        self._number = 0
        self._began = 0.0

    def begin(self, number: int, now: float) -> None:
        """The message of this number, the first one ever being 0, was taken."""
        self.is_running = True
        self._number = number
        self._began = now

    def came_back(self, returned: int, now: float) -> None:
        """So many have come back by now; those that were lost among them, see :meth:`lose`."""
        if self.is_running and returned > self._number:
            self.is_running = False
            self.seconds.add(now - self._began)

    def lose(self, numbers: range) -> None:
        """These were found lost. When that is found is nobody's time."""
        if self._number in numbers:
            self.is_running = False

    def give_up(self) -> None:
        """The one that is timed never comes."""
        self.is_running = False
