"""ACK, FINAL and EVICT."""

from __future__ import annotations

import pytest
from hypothesis import given

from aiocpg._events import Address
from aiocpg.evs._wire import Answer, Evict, Header, MalformedError, Query, encode_ack, encode_evict, encode_final, parse
from aiocpg.evs._wire.control import MAX_ANSWERS
from aiocpg.evs._wire.header import FLAG_REQUEST, Kind, pack, unpack
from support.evs_frames import HEADER, evictions, headers, one_of_each, queries

ACK = bytes.fromhex("05000000 0200 0000 01000000 0a000000 06000000 02000000 14000000 07000000")
EVICT = bytes.fromhex("01000000 0a000000 00000000")


@given(headers, queries)
def test_ack_is_read_as_it_was_written(header: Header, query: Query) -> None:
    """With its request and its answers."""
    assert parse(encode_ack(header, query))[1] == query


@given(headers, evictions)
def test_evict_is_read_as_it_was_written(header: Header, evict: Evict) -> None:
    """Who, and why."""
    assert parse(encode_evict(header, evict))[1] == evict


def test_final_is_a_header() -> None:
    """Its triple is all it says."""
    assert len(encode_final(HEADER)) == 48
    assert parse(encode_final(HEADER)) == (HEADER, None)


def test_bodies_are_byte_for_byte_what_they_always_were() -> None:
    """Or members of different releases would not understand one another."""
    frames = one_of_each()
    assert {kind: frames[kind][48:] for kind in ("ack", "final", "evict")} == {"ack": ACK, "final": b"", "evict": EVICT}


def test_request_is_flagged() -> None:
    """Where there is a token, and nowhere else."""
    flags = [unpack(encode_ack(HEADER, Query(token, ())))[1].flags for token in (0, 1)]
    assert flags == [0, FLAG_REQUEST]


def test_ack_may_have_65535_answers() -> None:
    """More than there can be members."""
    query = Query(0, (Answer(Address(1, 2), 3),) * MAX_ANSWERS)
    assert parse(encode_ack(HEADER, query))[1] == query


WRONG = {
    "a token without the flag": (Kind.ACK, ACK, 0),
    "a flag without token": (Kind.ACK, bytes(4) + ACK[4:], FLAG_REQUEST),
    "an answer less": (Kind.ACK, ACK[:-12], FLAG_REQUEST),
    "an answer more": (Kind.ACK, ACK + bytes(12), FLAG_REQUEST),
    "answers that are not there": (Kind.ACK, b"\0\0\0\0\xff\xff\0\0", 0),
    "a reserved field": (Kind.ACK, bytes(6) + b"\1\0", 0),
    "an ACK of nothing": (Kind.ACK, b"", 0),
    "a short ACK": (Kind.ACK, bytes(7), 0),
    "a FINAL with a body": (Kind.FINAL, b"\0", 0),
    "an EVICT of nobody": (Kind.EVICT, b"", 0),
    "a short EVICT": (Kind.EVICT, EVICT[:-1], 0),
    "a long EVICT": (Kind.EVICT, EVICT + b"\0", 0),
}


@pytest.mark.parametrize(("kind", "body", "flags"), WRONG.values(), ids=WRONG.keys())
def test_body_that_does_not_fit_is_refused(kind: Kind, body: bytes, flags: int) -> None:
    """By the name of its kind."""
    with pytest.raises(MalformedError) as caught:
        parse(pack(kind, HEADER, body, flags))
    assert caught.value.what == kind.name.lower()
