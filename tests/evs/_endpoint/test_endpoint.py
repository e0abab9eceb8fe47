"""The endpoint: each thing that can come, and what follows. What single parts do is tested with them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiocpg import Address, Reason, RingChange, RingId
from aiocpg.evs._endpoint import Settings, endpoint
from aiocpg.evs._values import Resync
from aiocpg.evs._wire import Body, Query, Triple, parse
from support.evs_parties import AGREED, FOUR, ONE, RING, SAFE, THREE, TWO, UNORDERED, Party, evict, missing_one, said

NEXT = RingChange(RingId(1, 8), (1, 2))

NOWHERE = Triple(0, 0, 0)


@pytest.fixture
def party() -> Party:
    """Provide three endpoints in one view, which have said nothing yet."""
    return Party(ONE, TWO, THREE)


def bodies(frames: list[bytes]) -> list[Body]:
    """What these frames say."""
    return [parse(frame)[1] for frame in frames]


def everybody(*lines: str) -> dict[Address, list[str]]:
    """All three have handed out the same."""
    return {ONE: [*lines], TWO: [*lines], THREE: [*lines]}


# -- Messages


def test_agreed_is_delivered_when_it_comes(party: Party) -> None:
    """And nobody has to say anything."""
    party.say(ONE, (AGREED, b"a"))
    assert party.heard() == everybody("a")
    assert [party.take(address) for address in (ONE, TWO, THREE)] == [[], [], []]


def test_safe_is_delivered_when_all_have_acknowledged_it(party: Party) -> None:
    """At the same frame for all: the last acknowledgement."""
    party.say(ONE, (SAFE, b"a"))
    frames = {address: party.take(address) for address in (ONE, TWO, THREE)}
    for address in (ONE, TWO):
        party.order(address, frames[address])
    assert party.heard() == everybody()
    party.order(THREE, frames[THREE])
    assert party.heard() == everybody("a")


def test_message_acknowledges_what_came_before_it(party: Party) -> None:
    """So where all send there is not one frame more."""
    for address in (ONE, TWO, THREE, ONE, TWO, THREE):
        party.say(address, (SAFE, b"%d" % address.pid))
    assert party.heard()[ONE] == ["10", "20", "30", "10"]
    assert sum(party.counts[address].sent["ack"] for address in (ONE, TWO, THREE)) == 0


def test_unordered_overtakes_safe(party: Party) -> None:
    """AGREED does not."""
    party.say(ONE, (SAFE, b"a"))
    party.say(TWO, (AGREED, b"b"), (UNORDERED, b"u"))
    assert party.heard() == everybody("u")
    party.talk()
    assert party.heard() == everybody("a", "b")


def test_own_acknowledgement_counts_when_it_has_come_back() -> None:
    """Or we would decide sooner than the others."""
    party = Party(ONE, TWO)
    party.say(TWO, (AGREED, b"a"))
    party.say(TWO, (SAFE, b"b"))
    frames = party.take(ONE)
    assert party.heard()[ONE] == ["a"]
    party.order(ONE, frames)
    assert party.heard()[ONE] == ["b"]


@pytest.mark.parametrize("stranger", [Address(1, 11), Address(9, 10)])
def test_frames_of_who_is_no_member_are_dropped_and_counted(party: Party, stranger: Address) -> None:
    """At all members, so they still agree on what came."""
    frames = party.send(ONE, (SAFE, b"a"))
    party.order(stranger, frames)
    assert party.heard() == everybody()
    assert party.counts[TWO].dropped == {"stranger": 1}
    party.order(ONE, frames)
    party.talk()
    assert party.heard() == everybody("a")


@pytest.mark.parametrize("strict", [False, True])
def test_who_has_chosen_otherwise_for_strict_views_is_heard_and_counted(strict: bool) -> None:
    """By both sides; nobody of the same choice is."""
    party = Party(ONE, TWO, settings=Settings(strict_views=strict))
    other = Party(THREE, settings=Settings(strict_views=not strict))
    party.say(TWO, (AGREED, b"a"))
    assert (party[ONE].disagreeing, party.counts[ONE].disagreeing) == (None, 0)
    party.order(TWO, [frame_of(other)], to=[ONE])
    assert (party[ONE].disagreeing, party.counts[ONE].disagreeing) == (TWO, 1)
    assert party.heard()[ONE] == ["a", "b"]


def frame_of(other: Party) -> bytes:
    """A frame of somebody else."""
    (frame,) = other.send(THREE, (AGREED, b"b"))
    return frame


def test_nothing_counts_before_the_first_view() -> None:
    """It is of the time before us."""
    party = Party(ONE)
    frames = party.send(ONE, (AGREED, b"a"))
    party.join(TWO)
    early = Party(TWO)[TWO]
    early.happenings.clear()
    assert party[TWO].views is not None
    party.order(ONE, frames, to=[TWO])
    assert "a" in party.heard()[TWO]


# -- Acknowledgements in time


def test_bare_acknowledgements_keep_their_distance() -> None:
    """One that is due is due later, and the deadline says when."""
    party = Party(ONE, TWO, settings=Settings(ack_interval=5.0, stall_timeout=60.0))
    party.say(ONE, (SAFE, b"a"))
    party.now = 1.0
    party.order(TWO, party.take(TWO))
    party.say(ONE, (SAFE, b"b"))
    assert party.take(TWO) == []
    assert party[TWO].deadline == 6.0
    party.now = 6.0
    assert bodies(party.take(TWO)) == [Query(0, ())]


def test_there_is_one_bare_acknowledgement_on_its_way(party: Party) -> None:
    """The next one waits until that one is back, and acknowledges all that came meanwhile."""
    party.say(ONE, (SAFE, b"a"))
    (frame,) = party.take(TWO)
    party.say(ONE, (SAFE, b"b"))
    assert party.take(TWO) == []
    party.order(TWO, [frame])
    assert len(party.take(TWO)) == 1


# -- Changes


def test_join_and_leave_with_nothing_in_doubt_cost_no_frame(party: Party) -> None:
    """Who comes reads its first configuration, the others both."""
    party.leave(THREE)
    assert party.heard() == {ONE: ["-1:10 2:20", "+1:10 2:20"], TWO: ["-1:10 2:20", "+1:10 2:20"]}
    party.join(THREE)
    assert party.heard()[THREE] == ["+1:10 2:20 3:30"]
    assert all(party.take(address) == [] for address in (ONE, TWO, THREE))


def test_change_in_doubt_is_agreed_on(party: Party) -> None:
    """Each says once what it had."""
    party.say(ONE, (SAFE, b"a"))
    party.leave(THREE)
    assert party.heard() == {ONE: [], TWO: []}
    party.talk()
    lines = ["=1:10 2:20", "a", "+1:10 2:20"]
    assert party.heard() == {ONE: lines, TWO: lines}
    assert (party.counts[ONE].sent["final"], party.counts[TWO].sent["final"]) == (1, 1)


def test_who_had_less_is_not_among_those_who_go_on_together(party: Party) -> None:
    """What it says fits nothing that we have; that it says something else of a later view shows that it goes on."""
    party.say(ONE, (SAFE, b"a"), to=[ONE, THREE])
    party.say(TWO, (SAFE, b"b"), to=[TWO])
    party.leave(THREE)
    party.talk()
    assert party.heard() == {ONE: [], TWO: []}
    for address in (ONE, TWO):
        party.say(address, (UNORDERED, b"u"))
    assert party.heard() == {
        ONE: ["=1:10", "a", "+1:10 2:20", "u", "u"],
        TWO: ["=2:20", "b", "+1:10 2:20", "u", "u"],
    }


def test_ring_change_is_one_change(party: Party) -> None:
    """All that Corosync says of it, with the ring last."""
    party.change([ONE, TWO], left=[(THREE, Reason.NODEDOWN)], to=[ONE, TWO])
    assert party.heard()[ONE] == []
    party.ring(NEXT, to=[ONE, TWO])
    assert party.heard()[ONE] == ["-1:10 2:20", "+1:10 2:20"]


def test_who_went_and_came_at_one_ring_change_did_not_come_along(party: Party) -> None:
    """It is another, or has been elsewhere."""
    party.change([ONE, TWO], left=[(THREE, Reason.NODEDOWN)], to=[ONE])
    party.change([ONE, TWO, THREE], joined=[(THREE, Reason.NODEUP)], to=[ONE])
    party.ring(RingChange(RingId(1, 8), (1, 2, 3)), to=[ONE])
    assert party.heard()[ONE] == ["-1:10 2:20", "+1:10 2:20 3:30"]


def test_frame_of_an_older_view_acknowledges_that_one(party: Party) -> None:
    """It was under way when the view changed."""
    party.say(ONE, (SAFE, b"a"))
    frames = {address: party.take(address) for address in (TWO, THREE)}
    party.order(ONE, party.take(ONE))
    party.join(FOUR)
    for address in (TWO, THREE):
        party.order(address, frames[address])
    assert party.heard()[ONE] == ["a", "-1:10 2:20 3:30", "+1:10 2:20 3:30 3:31"]


def test_too_many_pending_changes_make_it_begin_anew(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a limit to what it keeps."""
    monkeypatch.setattr(endpoint, "MAX_PENDING_VIEWS", 3)
    party.say(ONE, (SAFE, b"a"))
    for number in range(3):
        assert party[ONE].must_return == ""
        newcomer = Address(3, 31 + number)
        party.change([ONE, TWO, THREE, newcomer], joined=[(newcomer, Reason.JOIN)], to=[ONE])
    assert "pending" in party[ONE].must_return
    assert not party[ONE].may_send


def test_too_much_that_came_behind_a_pending_change_makes_it_begin_anew(
    party: Party, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others may have installed it, and then no window holds them back."""
    monkeypatch.setattr(endpoint, "MAX_PENDING_BYTES", 1000)
    for _ in range(20):
        party.say(TWO, (AGREED, bytes(100)))
    party.say(ONE, (SAFE, b"a"), to=[ONE])  # which the others have missed
    party.join(FOUR)
    for _ in range(10):
        party.say(TWO, (AGREED, bytes(100)))
    assert party[ONE].must_return == ""
    party.say(TWO, (AGREED, b"x"))
    assert "too much" in party[ONE].must_return
    assert party[TWO].must_return == ""


# -- The end


STATES: dict[str, tuple[Callable[[Party], object], list[str]]] = {
    "nothing held": (lambda party: None, ["=1:10"]),
    "SAFE held": (lambda party: party.say(TWO, (SAFE, b"a")), ["=1:10", "a"]),
    "a view pending": (
        lambda party: (party.say(TWO, (SAFE, b"a")), party.leave(THREE)),
        ["=1:10", "a", "+1:10 2:20", "=1:10"],
    ),
    "evicted": (lambda party: evict(party, ONE, by=TWO), ["Evicted", "-1:10", "+1:10", "=1:10"]),
    "a ring change half told": (
        lambda party: party.change([ONE, TWO], left=[(THREE, Reason.NODEDOWN)]),
        ["=1:10"],
    ),
}


@pytest.mark.parametrize(("state", "expected"), STATES.values(), ids=STATES.keys())
def test_close_hands_out_everything_for_it_alone(
    party: Party, state: Callable[[Party], object], expected: list[str]
) -> None:
    """In whatever state it is."""
    state(party)
    one = party[ONE]
    one.close()
    assert said(one.happenings) == expected
    assert (one.is_closed, one.views, one.may_send) == (True, None, False)


def test_close_before_the_first_view_hands_out_nothing() -> None:
    """There is nothing."""
    one = endpoint.Endpoint(ONE, 7, Settings(), Party(ONE).counts[ONE], endpoint.Numbering())
    one.close()
    assert (one.happenings, one.is_closed, one.deadline) == ([], True, None)


@pytest.mark.parametrize("reason", [Reason.LEAVE, Reason.PROCDOWN])
def test_own_departure_closes(party: Party, reason: Reason) -> None:
    """And what was half told of a ring change is a change before it."""
    party.change([ONE, TWO], left=[(THREE, Reason.NODEDOWN)], to=[ONE])
    party.change([TWO], left=[(ONE, reason)], to=[ONE])
    assert party[ONE].is_closed
    assert said(party[ONE].happenings) == ["-1:10 2:20", "+1:10 2:20", "=1:10"]


def test_nothing_comes_out_of_one_that_is_closed(party: Party) -> None:
    """Whatever goes in."""
    frames = party.send(TWO, (SAFE, b"a"))
    one = party[ONE]
    one.close()
    one.close()
    one.happenings.clear()
    one.frame(TWO, frames[0])
    one.ring(NEXT)
    party.change([ONE], left=[(TWO, Reason.LEAVE)], to=[ONE])
    one.look(99.0)
    one.speak(99.0)
    assert (one.happenings, one.speaker.frames) == ([], [])


def test_who_comes_back_because_it_missed_something_says_so_at_its_end(party: Party) -> None:
    """Readers are told why they are newcomers again."""
    missing_one(party)
    party.wait(0.0)
    party.wait(1.0)
    party.talk()
    party[THREE].close()
    assert party[THREE].happenings[-1] == Resync("it has missed what others had")


def test_counts_tell_frames_by_kind(party: Party) -> None:
    """Those of members that came, our own among them."""
    party.say(ONE, (SAFE, b"a"))
    party.talk()
    party.leave(THREE)
    evict(party, TWO)
    assert party.counts[ONE].frames == {"data": 1, "ack": 3, "evict": 1}
    assert party.counts[ONE].evictions == 1


def test_ring_of_the_party_is_that_of_its_configurations(party: Party) -> None:
    """Configurations name it."""
    assert party[ONE].views is not None
    assert party[ONE].views.configuration.ring_id == RING.ring_id
