"""Frames as a whole: what is good is read as the page says, and of what is not nothing comes but the one error."""

from __future__ import annotations

import random
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg.evs._wire import MalformedError, parse
from aiocpg.evs._wire.header import Kind, pack
from support.evs_frames import CHECKED, HEADER, Read, encode_data, frames, one_of_each, read, spoil

PLAIN, CHECKSUMMED = one_of_each(), one_of_each(CHECKED)
each_kind = pytest.mark.parametrize("frame", PLAIN.values(), ids=PLAIN.keys())


def parsed(frame: bytes) -> Read | None:
    """What the library makes of a frame, as the reader of the page says it."""
    try:
        header, body = parse(frame)
    except MalformedError:
        return None
    return frame[5], header, body


@given(frames)
def test_frame_is_read_as_the_page_says(frame: bytes) -> None:
    """A reader that shares no line with ours reads the same."""
    assert read(frame) == parsed(frame) is not None


@given(frames, st.randoms(use_true_random=False))
def test_spoilt_frame_is_refused_where_the_page_says(frame: bytes, rng: random.Random) -> None:
    """And there alone: what is left of it is read the same."""
    spoilt = spoil(rng, frame)
    assert read(spoilt) == parsed(spoilt)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(data: bytes) -> None:
    """Behind a good beginning, too."""
    assert parsed(data) is None
    head = PLAIN["data"][:5] + data
    assert read(head) == parsed(head)


@each_kind
def test_kind_decides_how_the_rest_is_read(frame: bytes) -> None:
    """An unknown one is refused: it needs a new version."""
    for kind in {*range(256)} - {*Kind}:
        with pytest.raises(MalformedError, match="kind"):
            parse(frame[:5] + bytes([kind]) + frame[6:])


@each_kind
def test_truncated_frame_is_refused(frame: bytes) -> None:
    """Wherever it ends, also if its length says that it does."""
    for size in range(len(frame)):
        assert parsed(frame[:size]) is None
        assert parsed(frame[:8] + struct.pack("<I", size) + frame[12:size]) is None


@each_kind
def test_frame_with_something_behind_it_is_refused(frame: bytes) -> None:
    """Also if its length says that it belongs to it."""
    longer = frame + b"\0"
    assert parsed(longer) is None
    assert parsed(longer[:8] + struct.pack("<I", len(longer)) + longer[12:]) is None


@pytest.mark.parametrize("frame", CHECKSUMMED.values(), ids=CHECKSUMMED.keys())
def test_every_flipped_bit_is_found_by_the_checksum(frame: bytes) -> None:
    """And every two bits next to one another."""
    whole = int.from_bytes(frame, "little")
    for flip in (1, 3):
        for place in range(8 * len(frame) - flip.bit_length() + 1):
            assert parsed((whole ^ flip << place).to_bytes(len(frame), "little")) is None


@each_kind
def test_flipped_bit_without_a_checksum_is_read_as_the_page_says(frame: bytes) -> None:
    """Or refused."""
    whole = int.from_bytes(frame, "little")
    for place in range(8 * len(frame)):
        flipped = (whole ^ 1 << place).to_bytes(len(frame), "little")
        assert read(flipped) == parsed(flipped)


def test_checked_frame_is_read_like_any() -> None:
    """The checksum changes nothing else."""
    for kind, frame in CHECKSUMMED.items():
        assert parse(frame)[1] == parse(PLAIN[kind])[1]


def most(record: bytes, size: int, number: int = 65535) -> bytes:
    """A frame of that many such records, with one set of nobody."""
    return pack(Kind.DATA, HEADER, struct.pack("<BBHB", 1, 0, number, 0) + record * number + bytes(size * number))


CLAIMS: dict[str, bytes] = {
    "255 huge sets": pack(Kind.DATA, HEADER, b"\xff\0\1\0" + b"\xff" * 1000),
    "65535 records": pack(Kind.DATA, HEADER, b"\1\0\xff\xff\0" + bytes(1000)),
    "4 GiB": pack(Kind.DATA, HEADER, b"\1\0\1\0\0" + b"\2\0\0\0\xff\xff\xff\xff"),
    "4 GiB, 100 times": pack(Kind.DATA, HEADER, b"\1\0\x64\0\0" + b"\2\0\0\0\xff\xff\xff\xff" * 100),
    "65535 answers": pack(Kind.ACK, HEADER, b"\0\0\0\0\xff\xff\0\0" + bytes(1000)),
    "a flag of every kind": b"aEVS\1" + b"\xff" * 1000,
}


def peak_of(call: Any, *args: Any) -> int:
    """Bytes that the call had at most."""
    tracemalloc.start()
    try:
        call(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("frame", CLAIMS.values(), ids=CLAIMS.keys())
def test_claims_are_checked_before_memory_is_taken(frame: bytes) -> None:
    """What is not there is not made room for."""
    parsed(frame)  # the first error of a kind fills caches
    assert peak_of(parsed, frame) < 32 * len(frame) + 4096
    assert parsed(frame) is None


@pytest.mark.parametrize(
    "frame",
    [
        most(b"\2\0\0\0\0\0\0\0", 0),
        most(b"\2\0\0\0\2\0\0\0", 2),
        most(b"\2\0\3\0\0\0\0\0", 3),
        encode_data(HEADER, [(2, bytes([number]) * 32 * 128, b"", b"") for number in range(255)]),
        pack(Kind.ACK, HEADER, b"\0\0\0\0\xff\xff\0\0" + random.Random(1).randbytes(12 * 65535)),
    ],
    ids=["empty messages", "small messages", "small metas", "sets", "answers"],
)
def test_memory_is_in_proportion_to_the_frame(frame: bytes) -> None:
    """Of the worst that can be packed into it: objects of Python, and no more than a few for each field."""
    assert parsed(frame) is not None
    assert peak_of(parse, frame) < 32 * len(frame)
