"""What one reader has not read: bounded, honest about what it lost, and ended once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from aiocpg import Address, ConnectionLostError, Disconnected, Message, RingId, SlowConsumerError, View
from aiocpg._state.inbox import EVENT_OVERHEAD, Inbox, cost, cost_of
from aiocpg.errors import CPGError

VIEW = View(b"group", (), {}, {}, RingId(1, 4), 1, 0)


def message(size: int, position: int = 1) -> Message:
    """Return a message of so many bytes."""
    return Message(b"group", Address(1, 10), bytes(size), position, VIEW)


def nothing() -> Sequence[object]:
    """Say that nothing is in force."""
    return ()


def inbox(limit: int = 10**6, in_force: Callable[[], Sequence[object]] = nothing) -> Inbox[object]:
    """Return an empty inbox."""
    return Inbox(limit, in_force)


def put(box: Inbox[object], *events: object) -> None:
    """Put events as the hub does."""
    box.put(events, sum(map(cost, events)))


def test_events_come_out_in_order_one_by_one_or_all_at_once() -> None:
    """Both ways may be mixed."""
    box = inbox()
    put(box, 1, 2, 3)
    assert box.take() == 1
    put(box, 4)
    assert box.take_all() == [2, 3, 4]
    assert not box.has_something


def test_cost_is_the_payload_and_what_the_objects_take() -> None:
    """256 bytes per event."""
    assert cost(message(10)) == 10 + EVENT_OVERHEAD
    assert cost(VIEW) == EVENT_OVERHEAD


def test_cost_of_many_is_that_of_each() -> None:
    """Whether they are messages alone or not."""
    messages = [message(10), message(0, 2), message(5, 3)]
    assert cost_of(messages) == sum(map(cost, messages)) == 15 + 3 * EVENT_OVERHEAD
    mixed = [*messages, VIEW]
    assert cost_of(mixed) == sum(map(cost, mixed))
    assert cost_of([]) == 0


def test_loss_is_told_once_behind_what_was_kept() -> None:
    """Then the state in force comes, then the next event."""
    box = inbox(2 * EVENT_OVERHEAD, lambda: ["in force"])
    put(box, 1, 2, 3)
    put(box, 4)
    assert box.take_all() == [1, 2]
    with pytest.raises(SlowConsumerError) as caught:
        box.take()
    assert (caught.value.lost, caught.value.limit) == (2, 2 * EVENT_OVERHEAD)
    put(box, 5)
    assert box.take_all() == ["in force", 5]


def test_nothing_is_kept_behind_a_hole() -> None:
    """After a loss even what would fit is lost, until the reader knows."""
    box = inbox(2 * EVENT_OVERHEAD)
    put(box, 1, 2, 3)
    assert box.take() == 1
    put(box, 4)
    assert box.take() == 2
    with pytest.raises(SlowConsumerError) as caught:
        box.take_all()
    assert caught.value.lost == 2


def test_message_larger_than_the_budget_passes_alone() -> None:
    """A reader that keeps up gets everything."""
    box = inbox(1000)
    large = message(5000)
    put(box, large)
    assert box.take_all() == [large]
    put(box, 1, large)
    assert box.take_all() == [1]
    with pytest.raises(SlowConsumerError):
        box.take()


def test_budget_of_zero_takes_nothing() -> None:
    """It only counts."""
    box = inbox(0)
    put(box, 1)
    with pytest.raises(SlowConsumerError) as caught:
        box.take()
    assert caught.value.lost == 1


def test_inbox_may_begin_with_a_loss_or_with_events() -> None:
    """As the backlog of a group demands; what it begins with costs, but is never refused."""
    box: Inbox[object] = Inbox(EVENT_OVERHEAD, lambda: ["in force"], first=[1, 2, 3])
    put(box, 4)
    assert box.take_all() == [1, 2, 3]
    with pytest.raises(SlowConsumerError):
        box.take()
    late: Inbox[object] = Inbox(EVENT_OVERHEAD, lambda: ["in force"], lost=7)
    with pytest.raises(SlowConsumerError) as caught:
        late.take()
    assert caught.value.lost == 7
    assert late.take() == "in force"


def test_end_comes_behind_what_is_there() -> None:
    """StopAsyncIteration for one, an empty list for all, and for ever."""
    box = inbox()
    put(box, 1)
    box.end()
    put(box, 2)
    assert box.take() == 1
    for _ in range(2):
        assert box.take_all() == []
        with pytest.raises(StopAsyncIteration):
            box.take()


def test_error_comes_behind_what_is_there_each_time_anew() -> None:
    """The first end counts."""
    box = inbox()
    put(box, 1)
    error = ConnectionLostError("gone")
    box.end(error)
    box.end()
    assert box.take_all() == [1]
    raised: list[CPGError] = [error]
    for call in (box.take, box.take_all):
        with pytest.raises(ConnectionLostError, match="gone") as caught:
            call()
        raised.append(caught.value)
    assert len({id(one) for one in raised}) == 3


def test_loss_is_told_before_the_end() -> None:
    """And the state in force does not come any more: nothing is."""
    box = inbox(EVENT_OVERHEAD, lambda: ["in force"])
    put(box, 1, 2)
    box.end()
    assert box.take() == 1
    with pytest.raises(SlowConsumerError):
        box.take()
    assert box.take_all() == []


def test_cleared_inbox_is_at_its_end() -> None:
    """What was there is gone, a loss and an error with it."""
    box = inbox(EVENT_OVERHEAD)
    put(box, 1, 2)
    box.end(ConnectionLostError("gone"))
    box.clear()
    assert box.take_all() == []


class Bell:
    """Counts how often it was rung."""

    def __init__(self) -> None:
        self.rings = 0

    def set(self) -> None:
        """Ring."""
        self.rings += 1


def test_reader_is_woken_by_everything_it_may_take() -> None:
    """An event, a loss, the end, a close; not by nothing."""
    box = inbox(EVENT_OVERHEAD)
    box.arrived = bell = Bell()
    put(box)
    assert bell.rings == 0
    put(box, 1)
    put(box, 2)
    box.end()
    box.clear()
    assert bell.rings == 4


class AgainstAList(RuleBasedStateMachine):
    """The inbox beside a list, a budget and a count."""

    LIMIT = 4 * EVENT_OVERHEAD

    def __init__(self) -> None:
        super().__init__()
        self.box: Inbox[object] = Inbox(self.LIMIT, lambda: ["in force"])
        self.kept: list[object] = []
        self.lost = 0
        self.ended = False
        self.count = 0

    @rule(sizes=st.lists(st.integers(0, 3).map(lambda units: units * EVENT_OVERHEAD), max_size=4))
    def put(self, sizes: list[int]) -> None:
        """Each event is kept while it fits and nothing was lost before it."""
        events = []
        for size in sizes:
            self.count += 1
            events.append(message(size, self.count))
        put(self.box, *events)
        for event in () if self.ended else events:
            fits = not self.kept or sum(map(cost, self.kept)) + cost(event) <= self.LIMIT
            if fits and not self.lost:
                self.kept.append(event)
            else:
                self.lost += 1

    @rule()
    def end(self) -> None:
        """No more comes."""
        self.box.end()
        self.ended = True

    @precondition(lambda self: self.kept or self.lost or self.ended)
    @rule(everything=st.booleans())
    def take(self, everything: bool) -> None:
        """What is kept, then the loss, then the state in force or the end."""
        if self.kept:
            taken = self.box.take_all() if everything else [self.box.take()]
            assert taken == self.kept[: len(taken)]
            assert len(taken) == (len(self.kept) if everything else 1)
            del self.kept[: len(taken)]
        elif self.lost:
            with pytest.raises(SlowConsumerError) as caught:
                self.box.take()
            assert caught.value.lost == self.lost
            self.lost = 0
            self.kept = [] if self.ended else ["in force"]
        else:
            assert self.box.take_all() == []

    @invariant()
    def says_whether_there_is_something(self) -> None:
        """A reader that waits, waits for nothing only when there is nothing."""
        assert self.box.has_something == bool(self.kept or self.lost or self.ended)


TestAgainstAList = AgainstAList.TestCase


def test_error_that_ends_it_may_be_any_of_ours() -> None:
    """Also one without arguments."""
    box = inbox()
    box.end(CPGError())
    with pytest.raises(CPGError):
        box.take()


GAP = Disconnected("gone")


def typed(*first: object, limit: int = 10**6) -> Inbox[object]:
    """Return the inbox of a reader that wants some kinds of events only."""
    return Inbox(limit, nothing, first=first, raises_gaps=True)


def test_gap_is_an_event_for_who_gets_all_events() -> None:
    """In its place, like any other."""
    box = inbox()
    put(box, 1)
    box.put_gap(GAP)
    put(box, 2)
    assert box.take_all() == [1, GAP, 2]


def test_gap_is_an_error_for_who_would_not_see_it() -> None:
    """Raised once, in its place; more comes behind it."""
    box = typed(1, GAP, 2)
    box.put_gap(GAP)
    put(box, 3)
    assert box.take() == 1
    with pytest.raises(ConnectionLostError, match="gone"):
        box.take()
    assert box.take() == 2
    with pytest.raises(ConnectionLostError, match="gone"):
        box.take()
    assert box.take() == 3
    assert not box.has_something


def test_batch_ends_before_a_gap() -> None:
    """So that what was received on both sides of it can be told apart."""
    box = typed(1, 2, GAP, 3)
    assert box.take_all() == [1, 2]
    with pytest.raises(ConnectionLostError):
        box.take_all()
    assert box.take_all() == [3]
    box.put_gap(GAP)
    with pytest.raises(ConnectionLostError):
        box.take_all()


def test_gap_gets_in_where_the_budget_is_used_up() -> None:
    """It is no event of the group's that could be lost for lack of room."""
    box = Inbox[object](EVENT_OVERHEAD, nothing, raises_gaps=True)
    put(box, 1)
    box.put_gap(GAP)
    assert box.take() == 1
    with pytest.raises(ConnectionLostError):
        box.take()


def test_gap_behind_lost_events_is_one_of_them() -> None:
    """The reader is told of one loss, and starts over behind it."""
    box = Inbox[object](EVENT_OVERHEAD, nothing, raises_gaps=True)
    put(box, 1, 2)
    box.put_gap(GAP)
    assert box.take() == 1
    with pytest.raises(SlowConsumerError) as caught:
        box.take()
    assert caught.value.lost == 2
    assert not box.has_something


def test_closed_inbox_takes_no_gap() -> None:
    """Its reader has gone."""
    box = typed(GAP)
    box.clear()
    box.put_gap(GAP)
    with pytest.raises(StopAsyncIteration):
        box.take()
