"""DATA frames: messages packed together, each with its guarantee and the groups it is for."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
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
_RECORD = struct.Struct("<BBHI")  # guarantee, set, bytes of meta, bytes of payload

_GUARANTEES = bytes(Guarantee)

HEAD_SIZE = HEADER_SIZE + _HEAD.size
RECORD_SIZE = _RECORD.size

pack_record = _RECORD.pack
"""What stands in a frame for one message: guarantee, which set of groups, bytes of meta, bytes of payload."""

Record: TypeAlias = tuple[int, bytes, bytes, bytes]
"""
One message: its guarantee, the keys of its groups one behind the other, meta, payload. A plain tuple, because one is
made for each message that comes and goes, and a named one takes twice as long.
"""


def encode_data(header: Header, records: Sequence[Record]) -> bytes:
    """A frame of 1 to 65535 messages, with at most 255 different sets of groups among them."""
    sets: dict[bytes, int] = {}
    each: list[bytes] = []
    payload: list[bytes] = []
    for guarantee, keys, meta, data in records:
        which = sets.get(keys)
        if which is None:
            which = sets[keys] = len(sets)
        each.append(pack_record(guarantee, which, len(meta), len(data)))
        if meta:
            payload.append(meta)
        payload.append(data)
    heads = b"".join(each)
    return encode_body(header, pack_body(sets, heads, payload), is_safe=Guarantee.SAFE in heads[::RECORD_SIZE])


def pack_body(sets: Iterable[bytes], heads: bytes, payload: list[bytes]) -> bytes:
    """What stands behind the header: sets of groups, what ``pack_record`` made, and meta and payload of each."""
    said = [bytes((len(keys) // KEY_SIZE,)) + keys for keys in sets]
    return b"".join((_HEAD.pack(len(said), 0, len(heads) // RECORD_SIZE), *said, heads, *payload))


def encode_body(header: Header, body: bytes, *, is_safe: bool) -> bytes:
    """A frame with this body."""
    return pack(Kind.DATA, header, body, FLAG_SAFE if is_safe else 0)


def decode_data(frame: bytes) -> list[Record]:
    """
    The messages of a frame, in the order they were sent. Raises MalformedError.

    The loop runs for each message that comes. So guarantees and sets are judged before it, all at once (what is left
    once the good ones are deleted is bad), and sizes by where they end; a slice past the end of the frame is empty.
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
    records: list[Record] = []
    add = records.append
    for guarantee, which, extra, size in _RECORD.iter_unpack(heads):
        meta = b""
        if extra:
            meta = _decode_meta(frame, place, extra)
            place += extra
        end = place + size
        add((guarantee, sets[which], meta, frame[place:end]))
        place = end
    if place != len(frame):
        raise MalformedError("data")
    return records


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
