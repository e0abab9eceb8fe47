"""The messages of a run: each is its number and bytes that follow from it, so that a piece in a wrong place shows."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from zlib import crc32

from aiocpg import Address
from aiocpg.errors import MessageLostError
from aiocpg.evs._endpoint import Entry
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._values import Configuration, Receipt, TransitionalConfiguration
from aiocpg.evs._wire import MalformedError, Record, parse
from evs.sim.history import Fate, Got, Sent

SMALLEST = 8
"""Bytes of a message: its number."""

_NOISE = Random(0).randbytes(1 << 16)


def content(number: int, size: int) -> bytes:
    """The message with this number."""
    start = number * 37 % 1009
    return number.to_bytes(SMALLEST, "big") + _NOISE[start : start + size - SMALLEST]


def number_of(data: bytes) -> int:
    """Which message this is."""
    return int.from_bytes(data[:SMALLEST], "big")


@dataclass
class Sending:
    """A send, and what has become of it; ``pieces`` where it goes in pieces."""

    number: int
    guarantee: int
    data: bytes
    ticket: Ticket
    pieces: Pieces | None = None
    is_withdrawn: bool = False

    def result(self) -> Sent:
        """It as the checker takes it."""
        size, crc = len(self.data), crc32(self.data)
        return Sent(self.number, self.guarantee, size, crc, self.pieces is not None, self._outcome())

    def _outcome(self) -> Receipt | Fate:
        ticket = self.ticket
        if ticket._configuration is not None:
            return Receipt(ticket._position, ticket._configuration)
        if self.is_withdrawn:
            return Fate.WITHDRAWN
        if ticket._error is None:
            return Fate.OPEN
        return Fate.LOST if isinstance(ticket._error, MessageLostError) else Fate.UNKNOWN


def got(entry: Entry, record: Record, position: int, configuration: Configuration) -> Got:
    """A delivery as the checker takes it."""
    data = record[3]
    is_transitional = isinstance(configuration, TransitionalConfiguration)
    return Got(number_of(data), entry.source, record[0], len(data), crc32(data), position, is_transitional)


class Contents:
    """Which whole messages stand in which frame. Frames are read once, however many get them."""

    def __init__(self) -> None:
        self._known: dict[tuple[Address, bytes], tuple[int, ...]] = {}

    def of(self, source: Address, frame: bytes) -> tuple[int, ...]:
        """The numbers of the messages; none where it is no such frame, or it has pieces."""
        key = source, frame
        if key not in self._known:
            self._known[key] = _numbers(frame)
        return self._known[key]


def _numbers(frame: bytes) -> tuple[int, ...]:
    try:
        _, body = parse(frame)
    except MalformedError:
        return ()
    records = body if isinstance(body, list) else []
    return tuple(number_of(record[3]) for record in records if not record[2])
