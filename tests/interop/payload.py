"""
The messages of ``member.c``, made in Python: the same bytes from the same sender, sequence and size.

A header of five little-endian words (magic, nodeid, pid, sequence, crc32 of the rest), and a rest that follows from
the sequence. An empty message has no header.
"""

from __future__ import annotations

import struct
import zlib

from aiocpg import Address

MAGIC = 0x47504341
HEADER = struct.Struct("<5I")

_CYCLE = bytes(range(256))


def make_payload(sender: Address, sequence: int, size: int) -> bytes:
    """Make a message of ``size`` bytes in all, header included."""
    if size == 0:
        return b""
    rest = _pattern(sequence % 256, size - HEADER.size)
    return HEADER.pack(MAGIC, sender.nodeid, sender.pid, sequence, zlib.crc32(rest)) + rest


def sequence_of(sender: Address, data: bytes) -> int | None:
    """
    Return the sequence number a message carries, None for an empty one.

    Raises:
        ValueError: It is not a message that this sender made.
    """
    if not data:
        return None
    magic, nodeid, pid, sequence, crc = HEADER.unpack_from(data)
    if (magic, nodeid, pid, crc) != (MAGIC, *sender, zlib.crc32(data[HEADER.size :])):
        raise ValueError(f"not a message of {sender}: {data[: HEADER.size].hex(' ', 4)}...")
    return int(sequence)


def _pattern(first: int, length: int) -> bytes:
    return (_CYCLE * (length // 256 + 2))[first : first + length]
