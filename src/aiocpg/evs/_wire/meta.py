"""What a message carries beside its payload: items of a tag, a length and bytes. Unknown tags are left alone."""

from __future__ import annotations

import struct
from typing import NamedTuple

from aiocpg.evs._wire.header import MalformedError

_ITEM = struct.Struct("<BH")  # tag, bytes
_CHUNK = struct.Struct("<IIQ")  # id, index, bytes of the whole

CHUNK = 1
"""The payload is a piece of a larger message."""

TRACE = 2
"""The context of a trace."""

MAX_TRACE = 1000
"""Bytes of a context. With the item of a chunk beside it, it fits into ``MAX_META``."""

ABORTED = 0xFFFFFFFF
"""The place of a chunk that says: no more of this message will come."""


class Chunk(NamedTuple):
    """Which piece of which message of a sender's life."""

    id: int
    place: int
    """Counts the pieces, from 0."""
    total: int
    """Bytes of the whole message."""


def encode_chunk(chunk: Chunk) -> bytes:
    """A chunk's meta."""
    return _ITEM.pack(CHUNK, _CHUNK.size) + _CHUNK.pack(*chunk)


def encode_trace(context: bytes) -> bytes:
    """The meta of a message with this context, at most ``MAX_TRACE`` bytes."""
    return _ITEM.pack(TRACE, len(context)) + context


def trace_of(meta: bytes) -> bytes:
    """The context that a message with this meta has; empty where it has none. Raises MalformedError."""
    return decode_meta(meta).get(TRACE, b"")


def decode_meta(meta: bytes) -> dict[int, bytes]:
    """The items by tag, the first of each. Raises MalformedError."""
    items: dict[int, bytes] = {}
    place = 0
    while place < len(meta):
        if place + _ITEM.size > len(meta):
            raise MalformedError("meta")
        tag, size = _ITEM.unpack_from(meta, place)
        place += _ITEM.size
        if place + size > len(meta):
            raise MalformedError("meta")
        items.setdefault(tag, meta[place : place + size])
        place += size
    return items


def chunk_of(meta: bytes) -> Chunk | None:
    """The chunk that a message with this meta is; None for a whole one. Raises MalformedError."""
    item = decode_meta(meta).get(CHUNK)
    if item is None:
        return None
    if len(item) != _CHUNK.size:
        raise MalformedError("meta")
    return Chunk(*_CHUNK.unpack(item))
