"""Histograms, and the timing of one message at a time."""

from __future__ import annotations

from aiocpg._state.counts import Buckets, Timing


def test_a_value_on_a_bound_counts_below_it() -> None:
    """Bounds are the highest values that their buckets take; what is above them all has a bucket, too."""
    buckets = Buckets((1.0, 4.0))
    for value in (0.5, 1, 1.5, 4, 4.5, 100):
        buckets.add(value)
    found = buckets.snapshot()
    assert (found.bounds, found.counts, found.total, found.count) == ((1.0, 4.0), (2, 2, 2), 111.5, 6)


def test_a_snapshot_stays_as_it_was() -> None:
    """What comes later does not change it."""
    buckets = Buckets((1.0,))
    before = buckets.snapshot()
    buckets.add(1)
    assert (before.count, buckets.snapshot().count) == (0, 1)


def test_one_message_is_timed_until_it_is_back() -> None:
    """Not until an earlier one is."""
    timing = Timing()
    timing.begin(5, 10.0)
    timing.came_back(5, 10.5)  # the first five are back, with the numbers 0 to 4
    assert timing.is_running
    timing.came_back(7, 11.0)
    assert not timing.is_running
    timing.came_back(8, 12.0)
    assert (timing.seconds.snapshot().count, timing.seconds.snapshot().total) == (1, 1.0)


def test_what_never_comes_is_not_counted() -> None:
    """Its time is not known."""
    timing = Timing()
    timing.begin(0, 1.0)
    timing.give_up()
    timing.came_back(1, 2.0)
    assert timing.seconds.snapshot().count == 0


def test_what_was_found_lost_is_not_counted() -> None:
    """Others that were found lost do not matter."""
    timing = Timing()
    timing.begin(5, 1.0)
    timing.lose(range(3, 5))
    assert timing.is_running
    timing.lose(range(5, 7))
    timing.came_back(8, 9.0)
    assert (timing.is_running, timing.seconds.snapshot().count) == (False, 0)
