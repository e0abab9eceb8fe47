"""One stream, many readers: where each begins, what it gets, and when it stops collecting."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Sequence

import anyio
import pytest

from aiocpg import ConnectionLostError, Disconnected, SlowConsumerError, Stream
from aiocpg._hub import Hub, Kinds
from aiocpg._state.inbox import EVENT_OVERHEAD
from support.lines import at_each_line
from support.running import PATIENCE

pytestmark = pytest.mark.anyio

LIMIT = 100 * EVENT_OVERHEAD
NUMBERS: Kinds = (int,)
WORDS: Kinds = (str,)


def hub(backlog_limit: int | None = LIMIT, in_force: Sequence[object] = (0, "zero")) -> Hub[object]:
    """Return a hub of numbers and words."""
    return Hub(backlog_limit, lambda: in_force, lambda: None)


def reader(hub: Hub[object], kinds: Kinds = (), limit: int = LIMIT) -> Stream[object]:
    """Return a reader that begins now."""
    return hub.open(kinds, limit, "reader")


async def test_readers_are_independent() -> None:
    """Each gets every event, at its own pace."""
    one = hub()
    fast, slow = reader(one), reader(one)
    one.publish([1, 2])
    assert await fast.receive_batch() == [1, 2]
    one.publish([3])
    assert await fast.receive_batch() == [3]
    assert await slow.receive_batch() == [1, 2, 3]


async def test_reader_gets_the_kinds_it_wants() -> None:
    """In the order of all."""
    one = hub()
    readers = [reader(one, kinds) for kinds in ((), NUMBERS, WORDS)]
    one.publish([1, "one"])
    one.publish(["two", 2])
    assert [await each.receive_batch() for each in readers] == [[1, "one", "two", 2], [1, 2], ["one", "two"]]


async def test_reader_begins_at_the_start_until_somebody_has_taken() -> None:
    """However late it is made, and however many there are."""
    one = hub()
    one.publish([1, "one"])
    first = reader(one)
    one.publish([2])
    second, words = reader(one), reader(one, WORDS)
    assert await second.receive_batch() == [1, "one", 2]
    assert await first.receive_batch() == [1, "one", 2]
    assert await words.receive_batch() == ["one"]


async def test_reader_begins_with_the_state_in_force_when_somebody_has_taken() -> None:
    """Of its kinds; then comes the next event."""
    one = hub()
    one.publish([1])
    await reader(one).receive_batch()
    late, numbers = reader(one), reader(one, NUMBERS)
    one.publish([2])
    assert await late.receive_batch() == [0, "zero", 2]
    assert await numbers.receive_batch() == [0, 2]


async def test_hub_without_a_backlog_begins_with_the_state_in_force() -> None:
    """Rings have no start that anybody would have been there for."""
    one = hub(backlog_limit=None)
    one.publish([1])
    first = reader(one)
    one.publish([2])
    assert await first.receive_batch() == [0, "zero", 2]


async def test_backlog_goes_when_it_grows_too_large() -> None:
    """The first readers are told how many of their kind they missed."""
    one = hub(backlog_limit=2 * EVENT_OVERHEAD)
    one.publish([1, 2])
    one.publish([3, "three"])
    for kinds, lost, in_force in (((), 4, [0, "zero"]), (NUMBERS, 3, [0]), (WORDS, 1, ["zero"])):
        late = reader(one, kinds)
        with pytest.raises(SlowConsumerError) as caught:
            await late.receive_batch()
        assert caught.value.lost == lost
        assert await late.receive_batch() == in_force
        one = _same(one)


def _same(one: Hub[object]) -> Hub[object]:
    again = hub(backlog_limit=2 * EVENT_OVERHEAD)
    again.publish([1, 2])
    again.publish([3, "three"])
    return again


async def test_backlog_of_zero_keeps_nothing() -> None:
    """A reader of a kind that did not come misses nothing."""
    one = hub(backlog_limit=0)
    one.publish([1])
    all_, words = reader(one), reader(one, WORDS)
    one.publish(["two"])
    with pytest.raises(SlowConsumerError) as caught:
        await all_.receive_batch()
    assert caught.value.lost == 2  # nothing is kept behind a hole
    assert await words.receive_batch() == ["two"]


async def test_slow_reader_does_not_disturb_the_others() -> None:
    """Each has a budget of its own."""
    one = hub()
    slow, fast = reader(one, limit=EVENT_OVERHEAD), reader(one)
    one.publish([1, 2, 3])
    assert await fast.receive_batch() == [1, 2, 3]
    assert await slow.receive_batch() == [1]
    with pytest.raises(SlowConsumerError) as caught:
        await slow.receive_batch()
    assert caught.value.lost == 2


async def test_reader_that_nobody_holds_stops_collecting() -> None:
    """A forgotten iterator must not fill the memory."""
    one = hub()
    kept, dropped = reader(one), reader(one)
    assert len(one.readers) == 2
    del dropped
    gc.collect()
    assert len(one.readers) == 1
    await kept.aclose()


async def test_end_reaches_those_who_are_there_and_those_who_come() -> None:
    """The first read what they have; whoever comes after somebody took ends at once."""
    one = hub()
    there = reader(one)
    one.publish([1])
    one.end()
    one.end(ConnectionLostError("late"))
    assert await there.receive_batch() == [1]
    assert await there.receive_batch() == []
    assert await reader(one).receive_batch() == []
    assert await reader(hub_that_ended()).receive_batch() == []


def hub_that_ended() -> Hub[object]:
    """Return a hub without a backlog that has ended."""
    one = hub(backlog_limit=None)
    one.end()
    return one


async def test_first_reader_gets_the_backlog_when_all_is_over() -> None:
    """What came while nobody read is not lost by the end."""
    one = hub()
    one.publish([1, 2])
    one.end(ConnectionLostError("gone"))
    late = reader(one)
    assert await late.receive_batch() == [1, 2]
    with pytest.raises(ConnectionLostError):
        await late.receive_batch()


GAP = Disconnected("gone")


async def test_gap_reaches_every_reader_whatever_it_wants() -> None:
    """As an event where all events are handed out, as an error otherwise."""
    one = hub()
    everything, numbers = reader(one), reader(one, NUMBERS)
    one.publish([1])
    one.publish_gap(GAP)
    one.publish([2])
    assert await everything.receive_batch() == [1, GAP, 2]
    assert await numbers.receive_batch() == [1]
    with pytest.raises(ConnectionLostError, match="gone"):
        await anext(numbers)
    assert await anext(numbers) == 2


async def test_gap_that_went_with_the_backlog_is_told_as_a_loss() -> None:
    """Also to readers of kinds of which nothing else was lost."""
    one = hub(backlog_limit=0)
    one.publish_gap(Disconnected("gone"))
    for each in [reader(one), reader(one, NUMBERS)]:
        with pytest.raises(SlowConsumerError), anyio.fail_after(PATIENCE):
            await each.receive_batch()


async def test_gap_is_kept_for_the_first_readers() -> None:
    """They begin at the start of the stream, and it is in there."""
    one = hub()
    one.publish([1, "one"])
    one.publish_gap(GAP)
    one.publish([2])
    everything, words = reader(one), reader(one, WORDS)
    assert await everything.receive_batch() == [1, "one", GAP, 2]
    assert await words.receive_batch() == ["one"]
    with pytest.raises(ConnectionLostError):
        await words.receive_batch()


@pytest.mark.parametrize("moment", range(8))
async def test_another_thread_may_ask_what_is_buffered_while_somebody_begins_to_read(moment: int) -> None:
    """Between any two lines."""
    one = hub()
    one.publish([1, 2])
    lines = itertools.count()
    with at_each_line(lambda: next(lines) == moment and one._somebody_took()):
        assert one.buffered in [(2, 2 * EVENT_OVERHEAD), (0, 0)]
