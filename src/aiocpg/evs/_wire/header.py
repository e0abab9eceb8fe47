"""The 48 bytes that every frame begins with."""

from __future__ import annotations

import enum
import struct
from typing import NamedTuple
from zlib import crc32

from aiocpg._events import Address

MAGIC = b"aEVS"
VERSION = 1

# magic, version, kind, flags, length, crc32, incarnation, reserved, seq, view fingerprint, count, chain value
_HEADER = struct.Struct("<4sBBHIIIIQIQI")
_ADDRESS = struct.Struct("<II")

HEADER_SIZE = _HEADER.size

_CRC = slice(12, 16)
_IDENTITY = slice(12, 32)


class Kind(enum.IntEnum):
    """What a frame is for. A new kind needs a new version."""

    DATA = 1
    ACK = 2
    FINAL = 3
    EVICT = 4


FLAG_CRC = 1
FLAG_REQUEST = 2
FLAG_SAFE = 4
"""A hint: some record is SAFE."""
FLAG_STRICT = 256
"""A hint: its sender waits for a FINAL at each change, and all have to choose the same."""

_KNOWN = FLAG_CRC | FLAG_REQUEST | FLAG_SAFE
_MUST_BE_KNOWN = 0xFF


class MalformedError(ValueError):
    """
    Bytes that are no frame.

    Attributes:
        what: What is wrong, in a word: ``foreign``, ``version``, ``header``, ``crc``, or the kind of frame.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Triple(NamedTuple):
    """An acknowledgement: its sender has processed these very frames of this view."""

    fingerprint: int
    """Which view: a checksum of its ring and its members."""
    number: int
    """Frames of it that were processed."""
    value: int
    """The chain over these."""


class Header(NamedTuple):
    """What every frame says of itself and of its sender."""

    incarnation: int
    """Random, not 0: tells one life of a sender from the next."""
    seq: int
    """Counts the frames of that life, from 1."""
    triple: Triple
    flags: int = 0


def pack(kind: Kind, header: Header, body: bytes, flags: int = 0) -> bytes:
    """A whole frame, with more flags than the header has; checksummed where they ask for it."""
    flags |= header.flags
    fields = MAGIC, VERSION, kind, flags, HEADER_SIZE + len(body)
    rest = header.incarnation, 0, header.seq, *header.triple
    head = _HEADER.pack(*fields, 0, *rest)
    if flags & FLAG_CRC:
        head = _HEADER.pack(*fields, crc32(body, crc32(head)), *rest)
    return head + body


def unpack(frame: bytes) -> tuple[int, Header]:
    """The kind and the header of a frame. Raises MalformedError."""
    if len(frame) < HEADER_SIZE:
        raise MalformedError("foreign")
    magic, version, kind, flags, length, crc, incarnation, _, seq, *triple = _HEADER.unpack_from(frame)
    if magic != MAGIC:
        raise MalformedError("foreign")
    if version != VERSION:
        raise MalformedError("version")
    if length != len(frame) or flags & _MUST_BE_KNOWN & ~_KNOWN or not seq or not incarnation:
        raise MalformedError("header")
    if flags & FLAG_CRC:
        if crc != _checksum(frame):
            raise MalformedError("crc")
    elif crc:
        raise MalformedError("header")
    return kind, Header(incarnation, seq, Triple(*triple), flags)


def _checksum(frame: bytes) -> int:
    head = bytearray(frame[:HEADER_SIZE])
    head[_CRC] = bytes(4)
    return crc32(memoryview(frame)[HEADER_SIZE:], crc32(head))


def identity(source: Address, frame: bytes) -> bytes:
    """What names a frame in the chain of a view: who sent it, which of its frames it is, and the checksum if any."""
    return _ADDRESS.pack(source.nodeid & 0xFFFFFFFF, source.pid & 0xFFFFFFFF) + frame[_IDENTITY]
