"""What a member or a stranger can make an endpoint do: count, and no more."""

from __future__ import annotations

import pytest

from aiocpg import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg.evs._endpoint import Counts, Endpoint, Numbering, Settings
from aiocpg.evs._wire import Header, Query, Triple, encode_ack
from support.evs_frames import body_of, encode_data

ME, OTHER, STRANGER = Address(1, 10), Address(2, 20), Address(2, 21)
NOBODY = Triple(0, 0, 0)


@pytest.fixture
def counts() -> Counts:
    """Provide the counters of the endpoint."""
    return Counts()


@pytest.fixture
def endpoint(counts: Counts) -> Endpoint:
    """Provide an endpoint in a view of two."""
    one = Endpoint(ME, 7, Settings(), counts, Numbering())
    one.ring(RingChange(RingId(1, 4), (1, 2)))
    one.change(ConfigurationChange(b"domain", (ME, OTHER), (MemberChange(ME, Reason.JOIN),), ()))
    return one


def data(seq: int, incarnation: int = 5) -> bytes:
    """A frame of one message."""
    return encode_data(Header(incarnation, seq, NOBODY), [(2, b"", b"", b"data")])


def test_member_that_jumps_ahead_is_counted_and_heard(endpoint: Endpoint, counts: Counts) -> None:
    """By 2**60 frames: nothing is done for each of them, and each jump counts once."""
    for seq in (1, 2, 2**60, 2**64 - 1):
        endpoint.frame(OTHER, data(seq))
    assert counts.gaps == 2
    assert counts.frames["data"] == 4


def test_member_that_says_it_again_is_not_heard_again(endpoint: Endpoint, counts: Counts) -> None:
    """Nor when it goes back."""
    for seq in (2, 2, 1):
        endpoint.frame(OTHER, data(seq))
    assert (counts.frames["data"], counts.dropped["duplicate"]) == (1, 2)


def test_member_of_many_lives_takes_the_room_of_one(endpoint: Endpoint) -> None:
    """The newest is known, the others are forgotten."""
    for incarnation in range(1, 1000):
        endpoint.frame(OTHER, data(1, incarnation))
    assert endpoint.views is not None
    assert endpoint.views.current.seqs == {OTHER: (999, 1)}


def test_member_that_asks_all_the_time_is_answered_once(endpoint: Endpoint) -> None:
    """With the newest of its requests, in the next batch."""
    for seq in range(1, 1000):
        endpoint.frame(OTHER, encode_ack(Header(5, seq, NOBODY), Query(seq, ())))
    assert endpoint.speaker.owes == [(OTHER, 999)]
    endpoint.speak(0.0)
    assert len(endpoint.speaker.frames) == 1


def test_stranger_is_not_even_read(endpoint: Endpoint, counts: Counts) -> None:
    """Whatever it says."""
    for frame in (data(1), b"", b"hello"):
        endpoint.frame(STRANGER, frame)
    assert counts.dropped == {"stranger": 3}


@pytest.mark.parametrize(
    ("frame", "what"),
    [
        (b"", "foreign"),
        (b"a user of the group's name", "foreign"),
        (data(1)[:4] + b"\2" + data(1)[5:], "version"),
        (data(1)[:5] + b"\x09" + data(1)[6:], "kind"),
        (data(1)[:-1], "header"),
    ],
)
def test_what_is_no_frame_is_named_by_what_is_wrong(
    endpoint: Endpoint, counts: Counts, frame: bytes, what: str
) -> None:
    """And is as if it had never come: all members drop it, and none counts it in the chain."""
    assert endpoint.views is not None
    before = endpoint.views.current.triple
    endpoint.frame(OTHER, frame)
    assert counts.dropped == {what: 1}
    assert endpoint.views.current.triple == before


def test_own_frame_that_was_never_sent_makes_it_come_back_as_a_newcomer(endpoint: Endpoint, counts: Counts) -> None:
    """Altered on its way: others take the number for ours, and would take none below it. No list of what is lost."""
    endpoint.send(body_of((2, b"", b"", b"data")), is_safe=False)
    endpoint.frame(ME, data(2**60, incarnation=7))
    assert endpoint.must_return
    assert counts.dropped == {"altered": 1}
    assert endpoint.own.lost == []


def test_own_frame_of_another_life_is_one_like_any(endpoint: Endpoint, counts: Counts) -> None:
    """A frame of the life before may still be under way."""
    endpoint.frame(ME, data(2**60, incarnation=6))
    assert not endpoint.must_return
    assert counts.frames["data"] == 1


def test_members_that_go_are_not_waited_for_however_many_views_are_pending(endpoint: Endpoint) -> None:
    """Who goes on is kept with each view. Finding it out for each frame took 8 ms with 60 of them."""
    views = endpoint.views
    assert views is not None
    endpoint.frame(OTHER, encode_data(Header(5, 1, NOBODY), [(3, b"", b"", b"data")]))
    for seq in range(8, 8 + 10):
        endpoint.ring(RingChange(RingId(1, seq), (1, 2)))
    assert [view.alive for view in views] == [{ME, OTHER}] * 11
    endpoint.change(ConfigurationChange(b"domain", (ME,), (), (MemberChange(OTHER, Reason.LEAVE),)))
    assert [view.alive for view in views] == [{ME}]
