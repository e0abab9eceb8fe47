"""
Frames of EVS domains: of any shape for hypothesis, spoilt ones, and a reader that shares no line with the library.

The reader follows the tables of docs/reference/evs-wire.md, as one in another language would.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from aiocpg._events import Address
from aiocpg.evs._packing import Packed
from aiocpg.evs._wire import (
    HEADER_SIZE,
    Answer,
    Evict,
    Header,
    Query,
    Record,
    Triple,
    encode_ack,
    encode_body,
    encode_evict,
    encode_final,
)
from aiocpg.evs._wire.header import FLAG_CRC

Read = tuple[int, tuple[Any, ...], Any]
"""Kind, header as (incarnation, seq, triple, flags), body: records, (token, answers), (address, reason) or None."""

u32 = st.integers(0, 2**32 - 1)
addresses = st.builds(Address, u32, u32)
triples = st.builds(Triple, u32, st.integers(0, 2**64 - 1), u32)
headers = st.builds(
    Header, st.integers(1, 2**32 - 1), st.integers(1, 2**64 - 1), triples, st.sampled_from([0, FLAG_CRC])
)
queries = st.builds(Query, u32, st.lists(st.builds(Answer, addresses, u32), max_size=5).map(tuple))
evictions = st.builds(Evict, addresses, u32)
keys = st.lists(st.binary(min_size=32, max_size=32), max_size=3).map(b"".join)


def encode_data(header: Header, records: Sequence[Record]) -> bytes:
    """A frame with these messages, whatever its size."""
    packed = Packed(records, [None] * len(records))
    return encode_body(header, packed.body(), is_safe=packed.is_safe)


def item(tag: int, data: bytes) -> bytes:
    """One item of a meta."""
    return bytes([tag]) + len(data).to_bytes(2, "little") + data


metas = st.lists(
    st.builds(item, st.integers(0, 255).filter(lambda tag: tag != 1), st.binary(max_size=30))
    | st.builds(item, st.just(1), st.binary(min_size=16, max_size=16)),
    max_size=3,
).map(b"".join)
records = st.lists(st.tuples(st.integers(0, 3), keys, metas, st.binary(max_size=40)), min_size=1, max_size=6)
frames = (
    st.builds(encode_data, headers, records)
    | st.builds(encode_ack, headers, queries)
    | st.builds(encode_final, headers)
    | st.builds(encode_evict, headers, evictions)
)

HEADER = Header(7, 9, Triple(1, 2, 3))
CHECKED = HEADER._replace(flags=FLAG_CRC)


def one_of_each(header: Header = HEADER) -> dict[str, bytes]:
    """A small frame of each kind."""
    chunk = item(1, bytes(range(16)))
    return {
        "data": encode_data(header, [(3, b"k" * 32, b"", b"safe"), (0, b"", chunk + item(9, b"?"), b"piece")]),
        "ack": encode_ack(header, Query(5, (Answer(Address(1, 10), 6), Answer(Address(2, 20), 7)))),
        "final": encode_final(header),
        "evict": encode_evict(header, Evict(Address(1, 10), 0)),
    }


def spoil(rng: random.Random, frame: bytes) -> bytes:
    """The frame with something wrong in it, most of the time."""
    spoilt = bytearray(frame)
    way = rng.randrange(6)
    if way == 0:
        del spoilt[rng.randrange(len(spoilt)) :]
    elif way == 1:
        spoilt += rng.randbytes(rng.randrange(1, 40))
    elif way == 2:
        spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    elif way == 3:
        place = rng.randrange(len(spoilt))
        spoilt[place : place + 4] = rng.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\1\0\0\0"])
    else:
        for _ in range(rng.randrange(1, 8)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
    if way and rng.random() < 0.7:
        spoilt[8:12] = len(spoilt).to_bytes(4, "little")  # or nothing behind the length would be looked at
    return bytes(spoilt)


# -- The reader of the page


def _at(frame: bytes, place: int, size: int) -> int:
    return int.from_bytes(frame[place : place + size], "little")


def read(frame: bytes) -> Read | None:
    """What a frame says; None for one that is to be dropped."""
    if len(frame) < 48 or frame[:5] != b"aEVS\x01" or _at(frame, 8, 4) != len(frame):
        return None
    kind, flags, incarnation, seq = frame[5], _at(frame, 6, 2), _at(frame, 16, 4), _at(frame, 24, 8)
    crc = crc32(frame[:12] + bytes(4) + frame[16:]) if flags & 1 else 0
    if flags & 0xF8 or _at(frame, 12, 4) != crc or not incarnation or not seq:
        return None
    header = (incarnation, seq, (_at(frame, 32, 4), _at(frame, 36, 8), _at(frame, 44, 4)), flags)
    try:
        return kind, header, _BODIES[kind](frame[48:], flags)
    except (KeyError, AssertionError):
        return None


def _data(body: bytes, flags: int) -> list[tuple[int, bytes, bytes, bytes]]:
    assert len(body) >= 4
    number = _at(body, 2, 2)
    assert body[1] == 0
    assert number
    place, sets = 4, []
    for _ in range(body[0]):
        assert place < len(body)
        end = place + 1 + 32 * body[place]
        sets.append(body[place + 1 : end])
        place = end
    end = place + 8 * number
    found = []
    for head in range(place, end, 8):
        assert head + 8 <= len(body)
        meta, size = _at(body, head + 2, 2), _at(body, head + 4, 4)
        assert body[head] <= 3
        assert body[head + 1] < len(sets)
        assert meta <= 1024
        _check_meta(body[end : end + meta])
        behind = end + meta
        found.append((body[head], sets[body[head + 1]], body[end:behind], body[behind : behind + size]))
        end = behind + size
    assert end == len(body)
    return found


def _check_meta(meta: bytes) -> None:
    is_chunk_known = False
    while meta:
        assert len(meta) >= 3
        size = _at(meta, 1, 2)
        assert len(meta) >= 3 + size
        assert meta[0] != 1 or is_chunk_known or size == 16
        is_chunk_known |= meta[0] == 1
        meta = meta[3 + size :]


def _ack(body: bytes, flags: int) -> tuple[int, tuple[Any, ...]]:
    assert len(body) >= 8
    assert _at(body, 6, 2) == 0
    assert len(body) == 8 + 12 * _at(body, 4, 2)
    assert (_at(body, 0, 4) != 0) == (flags & 2 != 0)
    entries = (body[place : place + 12] for place in range(8, len(body), 12))
    return _at(body, 0, 4), tuple(((_at(one, 0, 4), _at(one, 4, 4)), _at(one, 8, 4)) for one in entries)


def _final(body: bytes, flags: int) -> None:
    assert not body


def _evict(body: bytes, flags: int) -> tuple[tuple[int, int], int]:
    assert len(body) == 12
    return (_at(body, 0, 4), _at(body, 4, 4)), _at(body, 8, 4)


_BODIES: dict[int, Any] = {1: _data, 2: _ack, 3: _final, 4: _evict}


def body_of(message: tuple[int, bytes, bytes, bytes]) -> bytes:
    """What stands behind the header of a frame with this message alone."""
    return encode_data(Header(1, 1, Triple(0, 0, 0)), [message])[HEADER_SIZE:]
