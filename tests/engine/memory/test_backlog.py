"""What waits for one member: its order, the budget of one drain, and portions left to chance that repeat."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Address, RingChange, RingId
from aiocpg._state.history import Record
from aiocpg._state.inbox import EVENT_OVERHEAD
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN
from aiocpg.engine.memory._backlog import MOST_UNDRAINED, Backlog

WHO = Address(1, 1)
RING = RingChange(RingId(1, 4), (1,))


def filled(count: int, seed: str = "", size: int = 0) -> Backlog:
    """Return a backlog of so many messages, each with its number in front."""
    backlog = Backlog(seed)
    for number in range(count):
        backlog.put((WHO, b"%d " % number + bytes(size)))
    return backlog


def numbers(records: list[Record]) -> list[int]:
    """Return which messages these are."""
    return [int(record[1].split()[0]) for record in records if isinstance(record, tuple)]


def portions(backlog: Backlog) -> list[list[int]]:
    """Return what each turn of the loop gives, to the end."""
    found = []
    while backlog:
        backlog.step()
        found.append(numbers(backlog.take()))
    return found


def test_everything_is_taken_at_once_when_it_is_little() -> None:
    """And nothing twice."""
    backlog = filled(MAX_EVENTS_PER_DRAIN)
    assert backlog.has_ripe
    assert numbers(backlog.take()) == list(range(MAX_EVENTS_PER_DRAIN))
    assert (backlog.take(), len(backlog), backlog.has_ripe) == ([], 0, False)


def test_flood_comes_in_drains_of_so_many_events() -> None:
    """In order."""
    backlog = filled(MAX_EVENTS_PER_DRAIN + 1)
    assert [len(backlog.take()) for _ in range(3)] == [MAX_EVENTS_PER_DRAIN, 1, 0]


def test_drain_ends_behind_the_record_that_passes_the_bytes() -> None:
    """What passes them is still taken, or a large message would never come."""
    backlog = filled(4, size=MAX_BYTES_PER_DRAIN // 2)
    assert [numbers(backlog.take()) for _ in range(2)] == [[0, 1], [2, 3]]
    large = filled(2, size=2 * MAX_BYTES_PER_DRAIN)
    assert [numbers(large.take()) for _ in range(2)] == [[0], [1]]


def test_backlog_is_full_beyond_its_limit() -> None:
    """Payload and 256 bytes for each record; what is taken makes room."""
    backlog = Backlog("")
    backlog.put((WHO, bytes(MOST_UNDRAINED - 2 * EVENT_OVERHEAD)))
    backlog.put(RING)
    assert not backlog.is_full
    backlog.put(RING)
    assert backlog.is_full
    backlog.take()
    assert not backlog.is_full
    backlog.clear()
    assert len(backlog) == 0


@given(st.text(), st.integers(1, 5), st.integers(0, 50))
def test_portions_lose_and_disorder_nothing(seed: str, most: int, count: int) -> None:
    """Each is of 0 to ``most`` records."""
    backlog = filled(count, seed)
    backlog.portion(most)
    found = portions(backlog)
    assert [number for portion in found for number in portion] == list(range(count))
    assert all(len(portion) <= most for portion in found)


def test_portions_repeat_when_the_seed_does() -> None:
    """And differ with another."""
    found = []
    for seed in ("one", "one", "other"):
        backlog = filled(50, seed)
        backlog.portion(3)
        found.append(portions(backlog))
    assert found[0] == found[1] != found[2]


def test_what_is_not_taken_is_added_to_the_next_portion() -> None:
    """Up to all there is."""
    backlog = filled(20, "some")
    backlog.portion(3)
    seen = []
    for _ in range(40):
        backlog.step()
        seen.append(backlog._ripe)
    assert all(0 <= after - before <= 3 for before, after in pairwise(seen))
    assert numbers(backlog.take()) == list(range(20))


@pytest.mark.parametrize("most", [None, 3])
def test_end_of_portions_gives_all(most: int | None) -> None:
    """What was held back is to be had at once."""
    backlog = filled(10, "some")
    backlog.portion(most)
    backlog.portion(None)
    assert numbers(backlog.take()) == list(range(10))
