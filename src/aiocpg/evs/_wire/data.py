"""DATA frames: messages packed together, each with its guarantee and the groups it is for."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise, repeat
from typing import TypeAlias

from aiocpg._events import Guarantee
from aiocpg.evs._wire.header import FLAG_SAFE, HEADER_SIZE, Header, Kind, MalformedError, pack
from aiocpg.evs._wire.meta import chunk_of

KEY_SIZE = 32
"""Bytes of a group's key (``struct evs_group``)."""

MAX_KEYS = 255
"""Groups that one message may be for."""

MAX_SETS = 255
"""Different sets of groups in one frame."""

MAX_RECORDS = 65535

MAX_META = 1024
"""Bytes that a message may carry beside its payload."""

_HEAD = struct.Struct("<BBH")  # sets, 0, records

# For each message a kind (guarantee, set, bytes of meta as BBH, here one number) and the bytes of its payload. Both are
# read and written as columns of an array, which takes a sixth of the time of a struct for each.
_COLUMN = "I"
_IS_BIG = sys.byteorder == "big"

_GUARANTEES = bytes(Guarantee)

_WITH_META = 1 << 16
"""A kind that is not less says that there is meta."""

HEAD_SIZE = HEADER_SIZE + _HEAD.size
RECORD_SIZE = 8

Record: TypeAlias = tuple[int, bytes, bytes, bytes]
"""
One message: its guarantee, the keys of its groups one behind the other, meta, payload. A plain tuple, because one is
made for each message that comes and goes, and a named one takes twice as long.
"""


def kind_of(guarantee: int, place: int, extra: int) -> int:
    """What is said of a message besides its size: guarantee, which set of groups it is for, bytes of meta."""
    return guarantee | place << 8 | extra << 16


def pack_body(sets: Iterable[bytes], kinds: Sequence[int], sizes: Sequence[int], payload: Iterable[bytes]) -> bytes:
    """What stands behind the header: sets of groups, kind and size of each message, then meta and payload of each."""
    said = [bytes((len(keys) // KEY_SIZE,)) + keys for keys in sets]
    heads = array(_COLUMN, bytes(RECORD_SIZE * len(kinds)))
    heads[::2], heads[1::2] = array(_COLUMN, kinds), array(_COLUMN, sizes)
    if _IS_BIG:
        heads.byteswap()
    return b"".join((_HEAD.pack(len(said), 0, len(kinds)), *said, heads.tobytes(), *payload))


def encode_body(header: Header, body: bytes, *, is_safe: bool) -> bytes:
    """A frame with this body."""
    return pack(Kind.DATA, header, body, FLAG_SAFE if is_safe else 0)


def decode_data(frame: bytes) -> list[Record]:
    """
    The messages of a frame, in the order they were sent. Raises MalformedError.

    Guarantees and sets are judged all at once: what is left when the good ones are deleted is bad. Sizes are judged by
    where they end; a slice past the end of the frame is empty.
    """
    if len(frame) < HEAD_SIZE:
        raise MalformedError("data")
    count, zero, number = _HEAD.unpack_from(frame, HEADER_SIZE)
    sets, start = _decode_sets(frame, count)
    place = start + number * RECORD_SIZE
    if not number or zero or place > len(frame):
        raise MalformedError("data")
    heads = frame[start:place]
    guarantees, which_sets = heads[::RECORD_SIZE], heads[1::RECORD_SIZE]
    if guarantees.translate(None, _GUARANTEES) or which_sets.translate(None, bytes(range(count))):
        raise MalformedError("data")
    columns = array(_COLUMN, heads)
    if _IS_BIG:
        columns.byteswap()
    kinds, sizes = columns[::2], columns[1::2]
    if kinds[0] < _WITH_META and kinds.count(kinds[0]) == number:
        records, end = _decode_alike(frame, place, guarantees[0], sets[which_sets[0]], sizes)
    else:
        records, end = _decode_each(frame, place, kinds, sizes, sets)
    if end != len(frame):
        raise MalformedError("data")
    return records


def _decode_alike(
    frame: bytes, place: int, guarantee: int, keys: bytes, sizes: Iterable[int]
) -> tuple[list[Record], int]:
    """Messages of one guarantee for the same groups, without meta, which nearly all are; and where they end."""
    ends = list(accumulate(sizes, initial=place))
    payloads = [frame[start:end] for start, end in pairwise(ends)]
    return list(zip(repeat(guarantee), repeat(keys), repeat(b""), payloads)), ends[-1]


def _decode_each(
    frame: bytes, place: int, kinds: Iterable[int], sizes: Iterable[int], sets: Sequence[bytes]
) -> tuple[list[Record], int]:
    records: list[Record] = []
    for kind, size in zip(kinds, sizes, strict=True):
        meta = b""
        if kind >= _WITH_META:
            meta = _decode_meta(frame, place, kind >> 16)
            place += kind >> 16
        end = place + size
        records.append((kind & 0xFF, sets[kind >> 8 & 0xFF], meta, frame[place:end]))
        place = end
    return records, place


def _decode_meta(frame: bytes, place: int, size: int) -> bytes:
    meta = frame[place : place + size]
    if size > MAX_META:
        raise MalformedError("data")
    chunk_of(meta)  # raises where it is none
    return meta


def _decode_sets(frame: bytes, count: int) -> tuple[list[bytes], int]:
    # One that ends past the frame is found out by what comes next: another one, or the heads.
    sets: list[bytes] = []
    place = HEAD_SIZE
    for _ in range(count):
        if place >= len(frame):
            raise MalformedError("data")
        end = place + 1 + frame[place] * KEY_SIZE
        sets.append(frame[place + 1 : end])
        place = end
    return sets, place
