"""The history of a membership: it begins with the own join, numbers messages, and ends with the own departure."""

from __future__ import annotations

import pytest

from aiocpg import Address, ConfigurationChange, Event, MemberChange, Message, Reason, RingChange, RingId, View
from aiocpg._state.history import History, Phase, Record

ME, OTHER = Address(1, 10), Address(2, 10)
RING, NEXT_RING = RingChange(RingId(1, 4), (1, 2)), RingChange(RingId(1, 8), (1,))
JOIN = ConfigurationChange(b"group", (ME, OTHER), (MemberChange(ME, Reason.JOIN),), ())
LEAVE = ConfigurationChange(b"group", (OTHER,), (), (MemberChange(ME, Reason.LEAVE),))
FIRST_VIEW = View(b"group", (ME, OTHER), {ME: Reason.JOIN}, {}, RING.ring_id, 1, 0)


@pytest.fixture
def history() -> History:
    """A history before the join."""
    return History(b"group", ME)


@pytest.fixture
def member(history: History) -> History:
    """A history behind the join."""
    history.take([JOIN, RING])
    return history


def test_first_events_are_the_own_join_the_ring_and_the_view(history: History) -> None:
    """In this order, as they come."""
    assert history.take([JOIN, RING]) == [JOIN, RING, FIRST_VIEW]
    assert history.phase is Phase.MEMBER
    assert history.view == FIRST_VIEW
    assert history.members == (ME, OTHER)


def test_ring_known_before_the_join_comes_behind_it_once(history: History) -> None:
    """The last of several rings counts, and when it comes again it says nothing new."""
    assert history.take([NEXT_RING, RING]) == []
    assert history.take([JOIN, RING]) == [JOIN, RING, FIRST_VIEW]


def test_nothing_counts_before_the_own_join(history: History) -> None:
    """Messages and changes of others that a handle may see early are not ours."""
    others = ConfigurationChange(b"group", (OTHER,), (MemberChange(OTHER, Reason.JOIN),), ())
    assert history.take([others, (OTHER, b"early"), RING]) == []
    assert history.phase is Phase.JOINING
    assert (history.position, history.members) == (0, ())


def test_messages_are_numbered_from_the_join_and_stand_in_their_view(member: History) -> None:
    """Positions count the group's messages, the own ones included."""
    events = member.take([(OTHER, b"a"), (ME, b"b")])
    assert events == [Message(b"group", OTHER, b"a", 1, FIRST_VIEW), Message(b"group", ME, b"b", 2, FIRST_VIEW)]
    assert [event.view is member.view for event in events if isinstance(event, Message)] == [True, True]
    assert member.position == 2


def test_message_of_no_member_stands_in_the_view_like_any_other(member: History) -> None:
    """Corosync asks whether it knows a process of the sender's node in the group, not whether it knows the sender."""
    stranger = Address(2, 11)
    [event] = member.take([(stranger, b"a")])
    assert event == Message(b"group", stranger, b"a", 1, FIRST_VIEW)
    assert stranger not in event.view.members


def test_ghost_is_told_to_have_come_when_its_node_is_on_the_ring(history: History) -> None:
    """No change reports it; the ring alone shows that it was away, in a view behind it."""
    alone, both = RingChange(RingId(1, 4), (1,)), RingChange(RingId(1, 8), (1, 2))
    history.take([JOIN, alone])
    came = View(b"group", (ME, OTHER), {OTHER: Reason.NODEUP}, {OTHER: Reason.NODEDOWN}, both.ring_id, 2, 0)
    assert history.take([both, (OTHER, b"a")]) == [both, came, Message(b"group", OTHER, b"a", 1, came)]


def test_view_says_how_many_messages_stand_before_it(member: History) -> None:
    """Its position is that of the last message before it."""
    gone = ConfigurationChange(b"group", (ME,), (), (MemberChange(OTHER, Reason.PROCDOWN),))
    *_, view, message = member.take([(ME, b"a"), gone, (ME, b"b")])
    assert view == View(b"group", (ME,), {}, {OTHER: Reason.PROCDOWN}, RING.ring_id, 2, 1)
    assert message == Message(b"group", ME, b"b", 2, view)


def test_ring_change_makes_one_view_behind_its_changes(member: History) -> None:
    """Changes as they are, the ring, then the view."""
    gone = ConfigurationChange(b"group", (ME,), (), (MemberChange(OTHER, Reason.NODEDOWN),))
    events = member.take([gone, NEXT_RING, (ME, b"a")])
    assert events[:2] == [gone, NEXT_RING]
    assert [type(event) for event in events[2:]] == [View, Message]
    assert member.ring == NEXT_RING


def test_message_closes_a_ring_change_whose_ring_does_not_come(member: History) -> None:
    """No Corosync does that; the message still stands in the right members."""
    gone = ConfigurationChange(b"group", (ME,), (), (MemberChange(OTHER, Reason.NODEDOWN),))
    _, view, message = member.take([gone, (ME, b"a")])
    assert isinstance(view, View)
    assert isinstance(message, Message)
    assert message.view is view
    assert view.members == (ME,)


def test_own_messages_are_set_aside_once(member: History) -> None:
    """For matching them with what was sent."""
    member.take([(ME, b"a"), (OTHER, b"b"), (ME, b"c")])
    assert [message.data for message in member.take_own()] == [b"a", b"c"]
    assert member.take_own() == []


def test_nothing_counts_after_the_own_departure(member: History) -> None:
    """libcpg goes on delivering on a handle that has left."""
    events: list[Event] = member.take([(OTHER, b"last"), LEAVE, (OTHER, b"late"), JOIN])
    assert [type(event) for event in events] == [Message, ConfigurationChange, View]
    assert member.phase is Phase.GONE
    assert member.gone_by is Reason.LEAVE
    assert member.view is not None
    assert dict(member.view.left) == {ME: Reason.LEAVE}
    assert member.take([(OTHER, b"later")]) == []


def test_who_is_listed_as_left_and_still_a_member_is_not_gone(member: History) -> None:
    """A node that was away may see all of it."""
    away: list[Record] = [
        ConfigurationChange(b"group", (ME,), (), (MemberChange(ME, Reason.NODEDOWN),)),
        NEXT_RING,
    ]
    member.take(away)
    assert member.phase is Phase.MEMBER
    assert member.gone_by is None


def test_departure_during_a_ring_change_closes_its_view(member: History) -> None:
    """The last event is a view without us, though its ring never comes."""
    down = ConfigurationChange(b"group", (ME,), (), (MemberChange(OTHER, Reason.NODEDOWN),))
    gone = ConfigurationChange(b"group", (), (), (MemberChange(ME, Reason.PROCDOWN),))
    *_, view = member.take([down, gone])
    assert isinstance(view, View)
    assert view.members == ()
    assert dict(view.left) == {OTHER: Reason.NODEDOWN, ME: Reason.PROCDOWN}


AGAIN = Address(3, 11)
REJOIN = ConfigurationChange(b"group", (OTHER, AGAIN), (MemberChange(AGAIN, Reason.JOIN),), ())


def test_numbers_go_on_in_the_next_membership(member: History) -> None:
    """Positions and view numbers never go back; the view is that of a newcomer, under the address of now."""
    member.take([(OTHER, b"x")])
    member.break_off()
    member.resume_as(AGAIN)
    change, ring, view, message = member.take([REJOIN, NEXT_RING, (AGAIN, b"y")])
    assert (change, ring) == (REJOIN, NEXT_RING)
    assert view == View(b"group", (OTHER, AGAIN), {AGAIN: Reason.JOIN}, {}, NEXT_RING.ring_id, 2, 1)
    assert message == Message(b"group", AGAIN, b"y", 2, view)
    assert member.take_own() == [message]


def test_nothing_counts_between_the_loss_and_the_next_join(member: History) -> None:
    """As before the first join; the view before the loss is shown until there is another."""
    member.break_off()
    assert not member.has_view
    member.resume_as(ME)
    assert member.take([(OTHER, b"x"), NEXT_RING]) == []
    assert (member.position, member.view) == (0, FIRST_VIEW)


def test_change_that_was_pending_at_the_loss_makes_no_view(member: History) -> None:
    """Its ring never came, and the next membership begins with nobody."""
    down = ConfigurationChange(b"group", (ME,), (), (MemberChange(OTHER, Reason.NODEDOWN),))
    assert member.take([down]) == [down]
    member.break_off()
    member.resume_as(ME)
    view = member.take([JOIN, NEXT_RING])[-1]
    assert isinstance(view, View)
    assert (dict(view.joined), dict(view.left)) == ({ME: Reason.JOIN}, {})
