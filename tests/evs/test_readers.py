"""From what an endpoint hands out to its handles: who gets what, positions, budgets, and where a handle begins."""

from __future__ import annotations

import pytest

from aiocpg import Address, ConnectionLostError, Disconnected, Guarantee, RingId, SlowConsumerError
from aiocpg.evs import (
    Delivery,
    Evicted,
    EvsEvent,
    RegularConfiguration,
    Resumed,
    Resync,
    Stalled,
    TransitionalConfiguration,
)
from aiocpg.evs._endpoint import Delivered
from aiocpg.evs._endpoint.happenings import Entry
from aiocpg.evs._readers import Reader, Readers
from aiocpg.evs._routing import Joined, keys_of
from aiocpg.evs._values import as_groups

ME, OTHER = Address(1, 1), Address(2, 1)
FIRST = RegularConfiguration(1, RingId(1, 4), (1, 2), (2,), (ME, OTHER), (OTHER,))
CUT = TransitionalConfiguration(1, RingId(1, 4), (1,), (2,), (ME,), (OTHER,), verified=True)
STALLED = Stalled((OTHER,), 1.5, 3)


def started() -> Readers:
    """Readers of an endpoint that has come to its first configuration."""
    readers = Readers()
    readers.tell(FIRST)
    readers.flush()
    return readers


def opened(readers: Readers, *groups: str, limit: int = 1 << 20) -> tuple[Reader, Joined]:
    """A handle that has joined these groups and has read its first configuration."""
    reader, joined = readers.open(limit)
    joined.join(as_groups(groups))
    reader.inbox.take()
    return reader, joined


def deliver(readers: Readers, *messages: tuple[str, bytes], transitional: bool = False) -> int:
    """Deliver one frame with messages, each for a group."""
    records = [(Guarantee.AGREED, keys_of(as_groups([group])), b"", data) for group, data in messages]
    entry = Entry(1, OTHER, 0, records, is_safe=False, is_implied=False)
    first = readers.deliver(Delivered(entry, CUT if transitional else FIRST))
    readers.flush()
    return first


def taken(reader: Reader) -> list[EvsEvent]:
    """All that is there."""
    return reader.inbox.take_all() if reader.inbox.has_something else []


def test_message_goes_to_who_has_joined_its_group_and_counts_for_all() -> None:
    """Positions are the endpoint's, and have gaps where messages were for others."""
    readers = started()
    one, _ = opened(readers, "a")
    two, _ = opened(readers, "a", "b")
    assert deliver(readers, ("a", b"1"), ("b", b"2"), ("x", b"3"), ("a", b"4")) == 1
    assert deliver(readers, ("b", b"5"), transitional=True) == 5
    group_a, group_b = as_groups(["a", "b"])
    agreed = Guarantee.AGREED
    assert taken(one) == [
        Delivery(OTHER, b"1", (group_a,), agreed, 1, False),
        Delivery(OTHER, b"4", (group_a,), agreed, 4, False),
    ]
    assert taken(two) == [
        Delivery(OTHER, b"1", (group_a,), agreed, 1, False),
        Delivery(OTHER, b"2", (group_b,), agreed, 2, False),
        Delivery(OTHER, b"4", (group_a,), agreed, 4, False),
        Delivery(OTHER, b"5", (group_b,), agreed, 5, True),
    ]
    assert readers.position == 5


def test_configurations_go_to_all() -> None:
    """In their place among the messages."""
    readers = started()
    one, _ = opened(readers)
    two, _ = opened(readers, "a")
    deliver(readers, ("a", b"1"))
    readers.tell(CUT)
    readers.tell(Evicted(OTHER))
    readers.flush()
    assert taken(one) == [CUT, Evicted(OTHER)]
    assert [type(event) for event in taken(two)] == [Delivery, TransitionalConfiguration, Evicted]
    assert readers.configuration == FIRST


def test_handle_begins_with_the_configuration_as_it_was_handed_out() -> None:
    """And with a stall that lasts."""
    readers = started()
    assert taken(readers.open(0)[0]) == [FIRST]
    readers.tell(STALLED)
    assert readers.stalled == STALLED
    assert taken(readers.open(0)[0]) == [FIRST, STALLED]
    readers.tell(Resumed(2.0))
    assert readers.stalled is None
    assert taken(readers.open(0)[0]) == [FIRST]


def test_handle_that_is_opened_between_two_lives_is_told_what_ended_the_last() -> None:
    """The configuration is not in force then; the next one is all there is to say again."""
    readers = started()
    lost = Disconnected("first")
    for event in (CUT, lost, Disconnected("second")):
        readers.tell(event)
    assert taken(readers.open(0)[0]) == [FIRST, CUT, Disconnected("second")]
    assert readers.in_force()[1:] == (CUT, Disconnected("second"))
    readers.tell(FIRST)
    assert taken(readers.open(0)[0]) == [FIRST]
    for event in (CUT, Resync("why")):
        readers.tell(event)
    assert taken(readers.open(0)[0]) == [FIRST, CUT, Resync("why")]


def test_what_was_before_the_first_configuration_is_not_told_behind_it() -> None:
    """An endpoint may be put out before it has one."""
    readers = Readers()
    readers.tell(Resync("early"))
    readers.tell(FIRST)
    assert taken(readers.open(0)[0]) == [FIRST]


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_handle_that_was_opened_before_the_first_configuration_begins_with_it(limit: int) -> None:
    """Whatever its budget, and gets all behind it."""
    readers = Readers()
    reader, joined = readers.open(limit, as_groups(["a"]))
    assert joined.groups == as_groups(["a"])
    assert taken(reader) == []
    readers.tell(FIRST)
    readers.flush()
    assert taken(reader) == [FIRST]
    assert taken(readers.open(limit).reader) == [FIRST]
    if limit:
        deliver(readers, ("a", b"1"))
        assert [event.data for event in taken(reader) if isinstance(event, Delivery)] == [b"1"]


def test_reader_over_its_budget_is_told_and_begins_anew_with_what_is_in_force() -> None:
    """Others get everything; the configuration says nobody joined, since that was before."""
    readers = started()
    slow, _ = opened(readers, "a", limit=1000)
    quick, _ = opened(readers, "a")
    deliver(readers, *[("a", bytes(100))] * 10)
    readers.tell(STALLED)
    readers.flush()
    assert len(taken(slow)) == 2
    with pytest.raises(SlowConsumerError) as caught:
        slow.inbox.take()
    assert (caught.value.lost, caught.value.limit) == (9, 1000)
    quiet = RegularConfiguration(1, FIRST.ring_id, (1, 2), (), (ME, OTHER), ())
    assert taken(slow) == [quiet, STALLED]
    assert len(taken(quick)) == 11


def test_end_is_behind_what_is_there() -> None:
    """With the reason, if there is one; who opens later gets it too."""
    readers = started()
    one, _ = opened(readers, "a")
    deliver(readers, ("a", b"1"))
    readers.tell(CUT)  # not flushed
    readers.end(ConnectionLostError("gone"))
    assert [type(event) for event in taken(one)] == [Delivery, TransitionalConfiguration]
    with pytest.raises(ConnectionLostError):
        one.inbox.take()


def test_closed_reader_gets_what_was_there_and_nothing_more() -> None:
    """Closing twice is fine."""
    readers = started()
    one, _ = opened(readers, "a")
    assert readers.is_last(one)
    two, _ = opened(readers)
    assert not readers.is_last(one)
    deliver(readers, ("a", b"1"))
    readers.close(one)
    readers.close(one)
    assert readers.is_last(two)
    deliver(readers, ("a", b"2"))
    assert [event.data for event in taken(one) if isinstance(event, Delivery)] == [b"1"]
    with pytest.raises(StopAsyncIteration):
        one.inbox.take()
