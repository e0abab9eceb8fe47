"""The protocol of ``local://``: what is written is read again, and what is no frame is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg._names import MAX_NAME_LENGTH
from aiocpg.engine.local import _wire
from aiocpg.engine.local._wire import (
    BROKER_LIMITS,
    CLIENT_LIMITS,
    STRANGER_LIMITS,
    Frames,
    Hello,
    Kind,
    WireError,
)

numbers = st.integers(0, 2**32 - 1)
addresses = st.builds(Address, numbers, numbers)
lists = st.lists(addresses, max_size=5).map(tuple)
names = st.binary(min_size=1, max_size=MAX_NAME_LENGTH)
entries = st.lists(st.builds(MemberChange, addresses, st.sampled_from(Reason)), max_size=5).map(tuple)
messages = st.tuples(addresses, st.binary(max_size=100))
rings = st.builds(
    RingChange,
    st.builds(RingId, numbers, st.integers(0, 2**64 - 1)),
    st.lists(numbers, min_size=1, max_size=1).map(tuple),
)
changes = st.builds(ConfigurationChange, st.just(b"group"), lists, entries, entries)


def only(data: bytes, limits: Any = BROKER_LIMITS | CLIENT_LIMITS) -> tuple[int, bytes]:
    """The one frame that these bytes are."""
    frames = Frames(limits)
    frames.feed(data)
    found = frames.next()
    assert found is not None
    assert frames.next() is None
    assert len(frames) == 0
    return found


@given(messages | changes | rings)
def test_records_are_read_as_they_were_written(record: Any) -> None:
    """What the order said is what members get."""
    assert _wire.read_record(*only(_wire.record(record)), b"group") == record


@given(st.builds(Hello, st.integers(1, 2**32 - 1), st.just(b"") | names, st.just(_wire.VERSION)))
def test_hello_is_read_as_it_was_written(hello: Hello) -> None:
    """With a group and without."""
    kind, body = only(_wire.hello(hello), STRANGER_LIMITS)
    assert (kind, _wire.read_hello(body)) == (Kind.HELLO, hello)


@given(numbers, lists, st.dictionaries(names, lists, max_size=4))
def test_answers_are_read_as_they_were_written(token: int, listed: Any, listing: Any) -> None:
    """With the token of their question."""
    read, body = _wire.read_token(only(_wire.members(token, listed))[1])
    assert (read, _wire.read_members(body)) == (token, listed)
    read, body = _wire.read_token(only(_wire.groups(token, listing))[1])
    assert (read, _wire.read_groups(body)) == (token, listing)
    assert _wire.read_token(only(_wire.pong(token))[1]) == (token, b"")


def test_texts_are_cut_to_their_limit() -> None:
    """However long a reason is."""
    assert _wire.read_bye(only(_wire.bye("x" * 5000))[1]) == "x" * 1024
    assert _wire.read_refused(only(_wire.refused(_wire.Refusal.FULL, "x" * 5000))[1]) == (3, "x" * 1024)


def test_hello_of_another_version_is_read_as_far_as_it_goes() -> None:
    """Or it could not be refused by name; what follows may be anything."""
    body = only(_wire.hello(Hello(7, b"group", version=9)))[1]
    assert _wire.read_hello(body + bytes(50)).version == 9


@given(st.lists(messages, max_size=5), st.data())
def test_frames_come_whole_however_they_are_cut(found: list[Any], data: st.DataObject) -> None:
    """A stream has no edges."""
    stream = b"".join(map(_wire.record, found))
    frames = Frames(BROKER_LIMITS)
    came = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        frames.feed(stream[:size])
        stream = stream[size:]
        while frames.has_next:
            frame = frames.next()
            assert frame is not None
            came.append(_wire.read_record(*frame, b"group"))
    assert came == found


@pytest.mark.parametrize(
    ("limits", "head"),
    [
        (CLIENT_LIMITS, b"\x00\x00\x00\x00\x00"),
        (CLIENT_LIMITS, b"\x00\x00\x00\x00\x42"),
        (CLIENT_LIMITS, b"\x01\x00\x40\x00\x02"),
        (CLIENT_LIMITS, b"\x01\x00\x00\x00\x03"),
        (CLIENT_LIMITS, b"\xff\xff\xff\xff\x02"),
        (STRANGER_LIMITS, b"\x00\x00\x00\x00\x02"),
        (BROKER_LIMITS, b"\x00\x00\x00\x00\x02"),
    ],
)
def test_frame_that_may_not_be_is_refused_by_its_header(limits: Any, head: bytes) -> None:
    """Nothing of its body is waited for."""
    frames = Frames(limits)
    frames.feed(head)
    assert frames.has_next
    with pytest.raises(WireError):
        frames.next()


WRONG: dict[str, tuple[Callable[[bytes], Any], bytes]] = {
    "a short HELLO": (_wire.read_hello, b"aiocpg"),
    "another magic": (_wire.read_hello, b"aiocpf" + bytes(7)),
    "a HELLO without a pid": (_wire.read_hello, b"aiocpg\x01\x00\x00\x00\x00\x00\x00"),
    "a HELLO that joins nothing": (_wire.read_hello, b"aiocpg\x01\x00\x01\x01\x00\x00\x00"),
    "a HELLO that joins by the way": (_wire.read_hello, b"aiocpg\x01\x00\x00\x01\x00\x00\x00g"),
    "a long WELCOME": (_wire.read_welcome, bytes(11)),
    "a REFUSED of nothing": (_wire.read_refused, b""),
    "a short token": (_wire.read_token, b"abc"),
    "half a member": (_wire.read_members, bytes(12)),
    "a ring of one without it": (_wire.read_ring, bytes(12) + b"\x01\x00"),
    "a ring and a half": (_wire.read_ring, bytes(12) + b"\x01\x00" + bytes(6)),
    "a group without an end": (_wire.read_groups, b"\x03ab"),
    "a group without its members": (_wire.read_groups, b"\x01g\x02\x00" + bytes(8)),
    "a message of nobody": (lambda body: _wire.read_record(Kind.MESSAGE, body, b"g"), bytes(7)),
    "a change without counts": (lambda body: _wire.read_record(Kind.CHANGE, body, b"g"), bytes(5)),
    "a change that is too short": (
        lambda body: _wire.read_record(Kind.CHANGE, body, b"g"),
        b"\x01\x00\x00\x00\x00\x00",
    ),
    "a change that is too long": (lambda body: _wire.read_record(Kind.CHANGE, body, b"g"), bytes(7)),
    "an unknown reason": (
        lambda body: _wire.read_record(Kind.CHANGE, body, b"g"),
        b"\x00\x00\x01\x00\x00\x00" + bytes(8) + b"\xee",
    ),
    "no record": (lambda body: _wire.read_record(Kind.PONG, body, b"g"), bytes(4)),
}


@pytest.mark.parametrize(("read", "body"), WRONG.values(), ids=WRONG.keys())
def test_body_that_does_not_fit_is_refused(read: Callable[[bytes], Any], body: bytes) -> None:
    """By the one error that both sides look for."""
    with pytest.raises(WireError):
        read(body)


@given(st.sampled_from([read for read, _ in WRONG.values()]), st.binary(max_size=40))
def test_any_body_is_read_or_refused(read: Callable[[bytes], Any], body: bytes) -> None:
    """Nothing else comes of what a stranger sends."""
    try:
        read(body)
    except WireError:
        return
