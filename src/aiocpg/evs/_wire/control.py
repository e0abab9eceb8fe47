"""Frames that carry no message: acknowledgements, last words on a view, evictions."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aiocpg._events import Address
from aiocpg.evs._wire.header import FLAG_REQUEST, HEADER_SIZE, Header, Kind, MalformedError, pack

_ACK = struct.Struct("<IHH")  # token of a request or 0, answers, 0
_ENTRY = struct.Struct("<III")  # nodeid, pid, token of an answer or reason of an eviction

MAX_ANSWERS = 65535


class Answer(NamedTuple):
    """To whose request, and to which, a sender's triple is the answer."""

    address: Address
    token: int


class Query(NamedTuple):
    """The body of an ACK: a request that all say where they stand (token not 0), and answers to such requests."""

    token: int
    answers: tuple[Answer, ...]


class Evict(NamedTuple):
    """The body of an EVICT: who is to go, and why (0: it does not answer)."""

    address: Address
    reason: int


def encode_ack(header: Header, query: Query) -> bytes:
    """An acknowledgement: what it acknowledges is the header's triple."""
    answers = [_ENTRY.pack(*address, token) for address, token in query.answers]
    body = b"".join((_ACK.pack(query.token, len(answers), 0), *answers))
    return pack(Kind.ACK, header, body, FLAG_REQUEST if query.token else 0)


def encode_final(header: Header) -> bytes:
    """The last word on a view that is over: the header's triple is all that was seen of it."""
    return pack(Kind.FINAL, header, b"")


def encode_evict(header: Header, evict: Evict) -> bytes:
    """A demand that a member be left out from here on."""
    return pack(Kind.EVICT, header, _ENTRY.pack(*evict.address, evict.reason))


def decode_ack(frame: bytes, flags: int) -> Query:
    """The body of an ACK. Raises MalformedError."""
    if len(frame) < HEADER_SIZE + _ACK.size:
        raise MalformedError("ack")
    token, count, zero = _ACK.unpack_from(frame, HEADER_SIZE)
    start = HEADER_SIZE + _ACK.size
    if zero or len(frame) != start + count * _ENTRY.size or bool(token) != bool(flags & FLAG_REQUEST):
        raise MalformedError("ack")
    return Query(token, tuple(_answers(frame[start:])))


def _answers(entries: bytes) -> Sequence[Answer]:
    return [Answer(Address(nodeid, pid), token) for nodeid, pid, token in _ENTRY.iter_unpack(entries)]


def check_final(frame: bytes) -> None:
    """Raise MalformedError where a FINAL has a body."""
    if len(frame) != HEADER_SIZE:
        raise MalformedError("final")


def decode_evict(frame: bytes) -> Evict:
    """The body of an EVICT. Raises MalformedError."""
    if len(frame) != HEADER_SIZE + _ENTRY.size:
        raise MalformedError("evict")
    nodeid, pid, reason = _ENTRY.unpack_from(frame, HEADER_SIZE)
    return Evict(Address(nodeid, pid), reason)
