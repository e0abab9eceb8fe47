"""The header: each field where the page says, and refused where it cannot be."""

from __future__ import annotations

from zlib import crc32

import pytest
from hypothesis import given

from aiocpg._events import Address
from aiocpg.evs._wire.header import FLAG_CRC, HEADER_SIZE, Header, Kind, MalformedError, Triple, identity, pack, unpack
from support.evs_frames import CHECKED, HEADER, headers

GOLDEN = bytes.fromhex(
    "61455653 01 03 0000 30000000 00000000 07000000 00000000 0900000000000000 01000000 0200000000000000 03000000"
)


def patched(frame: bytes, place: int, data: bytes) -> bytes:
    """The frame with other bytes from there on."""
    return frame[:place] + data + frame[place + len(data) :]


@given(headers)
def test_header_is_read_as_it_was_written(header: Header) -> None:
    """With checksum and without."""
    assert unpack(pack(Kind.ACK, header, b"body")) == (Kind.ACK, header)


def test_header_is_byte_for_byte_what_it_always_was() -> None:
    """Or members of different releases would not understand one another."""
    assert pack(Kind.FINAL, HEADER, b"") == GOLDEN


def test_checksum_is_over_the_frame_without_it() -> None:
    """The field counts as zeros."""
    frame = pack(Kind.FINAL, CHECKED, b"body")
    assert int.from_bytes(frame[12:16], "little") == crc32(patched(frame, 12, bytes(4)))


def test_extremes_fit() -> None:
    """Each field has the width that the page says."""
    header = Header(2**32 - 1, 2**64 - 1, Triple(2**32 - 1, 2**64 - 1, 2**32 - 1), 0xFF00)
    assert unpack(pack(Kind.DATA, header, b"")) == (Kind.DATA, header)


@pytest.mark.parametrize(
    ("place", "data", "what"),
    [
        (0, b"aEVT", "foreign"),
        (4, b"\0", "version"),
        (4, b"\2", "version"),
        (6, b"\x08", "header"),
        (6, b"\x80", "header"),
        (8, b"\x2f", "header"),
        (8, b"\x31", "header"),
        (8, b"\xff\xff\xff\xff", "header"),
        (12, b"\1", "header"),
        (16, bytes(4), "header"),
        (24, bytes(8), "header"),
        (6, b"\1", "crc"),
    ],
)
def test_field_out_of_range_is_refused(place: int, data: bytes, what: str) -> None:
    """By a word that the counters name."""
    with pytest.raises(MalformedError, match=what) as caught:
        unpack(patched(GOLDEN, place, data))
    assert caught.value.what == what


@pytest.mark.parametrize("size", range(HEADER_SIZE))
def test_half_a_header_is_foreign(size: int) -> None:
    """However little is missing."""
    with pytest.raises(MalformedError, match="foreign"):
        unpack(GOLDEN[:size])


@pytest.mark.parametrize(("place", "data"), [(7, b"\xff"), (20, b"\xff\xff\xff\xff")], ids=["flags", "reserved"])
def test_what_is_kept_for_later_is_not_looked_at(place: int, data: bytes) -> None:
    """The upper flags and the reserved field."""
    kind, header = unpack(patched(GOLDEN, place, data))
    assert (kind, header.incarnation, header.seq, header.triple) == (3, 7, 9, (1, 2, 3))


def test_flag_is_added_to_those_of_the_header() -> None:
    """And the checksum covers it."""
    assert unpack(pack(Kind.ACK, CHECKED, b"", 2))[1].flags == FLAG_CRC | 2


def test_identity_is_sender_and_checksum_to_seq() -> None:
    """What the chain is made of: whose frame, which life, which number."""
    assert identity(Address(1, 10), GOLDEN) == bytes.fromhex("01000000 0a000000") + GOLDEN[12:32]


def test_identity_of_a_frame_does_not_depend_on_its_triple() -> None:
    """Nor on what is in it, unless there is a checksum."""
    other = pack(Kind.ACK, HEADER._replace(triple=Triple(4, 5, 6)), b"body")
    assert identity(Address(1, 10), other) == identity(Address(1, 10), GOLDEN)
    checked = [pack(Kind.ACK, CHECKED, body) for body in (b"one", b"two")]
    assert len({identity(Address(1, 10), frame) for frame in checked}) == 2
