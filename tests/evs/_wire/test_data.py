"""DATA frames: messages come out as they went in, and sizes that cannot be are refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given

from aiocpg.evs._wire import Header, MalformedError
from aiocpg.evs._wire.data import HEAD_SIZE, KEY_SIZE, MAX_KEYS, MAX_META, MAX_RECORDS, MAX_SETS, Record, decode_data
from aiocpg.evs._wire.header import FLAG_SAFE, Kind, pack, unpack
from support.evs_frames import HEADER, encode_data, headers, item, one_of_each, records

KEY = b"k" * KEY_SIZE
BODY = bytes.fromhex(
    "02 00 0200"
    f"01 {KEY.hex()}"
    "00"
    "03 00 0000 04000000"
    "00 01 1700 05000000"
    "73616665"
    "01 1000 000102030405060708090a0b0c0d0e0f 09 0100 3f"
    "7069656365"
)
"""Two sets, two records; see ``one_of_each``."""


def frame(body: bytes) -> bytes:
    """A frame with this body."""
    return pack(Kind.DATA, HEADER, body)


@given(headers, records)
def test_messages_are_read_as_they_were_written(header: Header, sent: list[Record]) -> None:
    """In their order, each with its guarantee and its groups."""
    assert decode_data(encode_data(header, sent)) == sent


def test_data_is_byte_for_byte_what_it_always_was() -> None:
    """Sets as they first come, heads, then meta and payload of each."""
    assert one_of_each()["data"][48:] == BODY


@pytest.mark.parametrize("guarantees", [(2,), (3,), (0, 1, 2), (2, 3, 2)])
def test_frame_says_whether_something_in_it_is_safe(guarantees: tuple[int, ...]) -> None:
    """A hint for those who look at no more than the header."""
    _, header = unpack(encode_data(HEADER, [(one, KEY, b"", b"") for one in guarantees]))
    assert bool(header.flags & FLAG_SAFE) == (3 in guarantees)


@pytest.mark.parametrize("count", [0, 1, MAX_KEYS])
def test_message_may_be_for_so_many_groups(count: int) -> None:
    """None, too: it goes to nobody."""
    keys = b"".join(number.to_bytes(KEY_SIZE, "big") for number in range(count))
    sent = [(2, keys, b"", b"data")]
    assert decode_data(encode_data(HEADER, sent)) == sent


def test_frame_may_have_255_sets_of_groups() -> None:
    """The last has the number 254."""
    sent = [(2, bytes([number]) * KEY_SIZE, b"", b"") for number in range(MAX_SETS)]
    assert decode_data(encode_data(HEADER, sent)) == sent


def test_frame_may_have_65535_messages() -> None:
    """Of one set, and empty."""
    sent = [(number % 4, KEY, b"", b"") for number in range(MAX_RECORDS)]
    assert decode_data(encode_data(HEADER, sent)) == sent


@pytest.mark.parametrize("size", [3, MAX_META])
def test_message_may_have_so_much_meta(size: int) -> None:
    """Of a tag that nobody knows."""
    sent = [(2, KEY, item(200, bytes(size - 3)), b"")]
    assert decode_data(encode_data(HEADER, sent)) == sent


def test_messages_with_the_same_groups_share_them() -> None:
    """Equal is enough."""
    one = encode_data(HEADER, [(2, KEY, b"", b"")] * 2)
    assert len(one) == HEAD_SIZE + 1 + KEY_SIZE + 2 * 8


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_payload_may_be_any_buffer(kind: Any) -> None:
    """It is copied once, into the frame."""
    assert encode_data(HEADER, [(2, KEY, b"", kind(b"data"))]) == encode_data(HEADER, [(2, KEY, b"", b"data")])


@pytest.mark.parametrize(
    "sent",
    [
        [(2, KEY * (MAX_KEYS + 1), b"", b"")],
        [(2, bytes([number % 256]) * KEY_SIZE * (1 + number // 256), b"", b"") for number in range(MAX_SETS + 2)],
        [(2, KEY, b"", b"")] * (MAX_RECORDS + 1),
    ],
    ids=["256 groups", "257 sets", "65536 messages"],
)
def test_what_does_not_fit_into_a_field_is_not_written(sent: list[Record]) -> None:
    """A bug of ours shows here, and not at the others."""
    with pytest.raises((ValueError, struct.error)):
        encode_data(HEADER, sent)


def patched(place: int, data: bytes) -> bytes:
    """The golden frame with other bytes from there in its body on."""
    return frame(BODY[:place] + data + BODY[place + len(data) :])


FIRST, SECOND = 38, 46
"""Where the heads of the records are."""


@pytest.mark.parametrize(
    "wrong",
    [
        patched(0, b"\0"),
        patched(0, b"\1"),
        patched(0, b"\3"),
        patched(0, b"\xff"),
        patched(1, b"\1"),
        patched(2, b"\0\0"),
        patched(2, b"\1\0"),
        patched(2, b"\3\0"),
        patched(2, b"\xff\xff"),
        patched(4, b"\0"),
        patched(4, b"\2"),
        patched(4, b"\xff"),
        patched(37, b"\1"),
        patched(FIRST, b"\4"),
        patched(SECOND, b"\xff"),
        patched(FIRST + 1, b"\2"),
        patched(SECOND + 1, b"\xff"),
        patched(SECOND + 2, b"\x16"),
        patched(SECOND + 2, b"\x18"),
        patched(SECOND + 2, b"\xff\xff"),
        patched(FIRST + 4, b"\3"),
        patched(FIRST + 4, b"\5"),
        patched(SECOND + 4, b"\4"),
        patched(SECOND + 4, b"\6"),
        patched(SECOND + 4, b"\xff\xff\xff\xff"),
        frame(b""),
        frame(b"\0\0\0\0"),
        frame(b"\1\0\0\0\0"),
        frame(b"\1\0\1\0\xff"),
        frame(BODY + b"x"),
        frame(bytes.fromhex("01 00 0100 00 02 00 0104 00000000") + item(9, bytes(MAX_META - 2))),
    ],
)
def test_field_out_of_range_is_refused(wrong: bytes) -> None:
    """Counts, sets, guarantees and sizes; meta over its limit."""
    with pytest.raises(MalformedError):
        decode_data(wrong)


def test_sizes_that_add_up_past_the_end_are_refused() -> None:
    """Not taken for empty messages, though a slice there would be one."""
    heads = struct.pack("<BBHI", 2, 0, 0, 2**32 - 1) + struct.pack("<BBHI", 2, 0, 0, 0)
    with pytest.raises(MalformedError):
        decode_data(frame(b"\1\0\2\0\0" + heads))


@pytest.mark.parametrize("size", range(len(BODY)))
def test_half_a_body_is_refused(size: int) -> None:
    """Wherever it ends, with a header that says so."""
    with pytest.raises(MalformedError):
        decode_data(frame(BODY[:size]))
