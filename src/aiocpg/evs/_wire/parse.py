"""Which of the bodies a frame has."""

from __future__ import annotations

from typing import TypeAlias

from aiocpg.evs._wire.control import Evict, Query, check_final, decode_ack, decode_evict
from aiocpg.evs._wire.data import Record, decode_data
from aiocpg.evs._wire.header import Header, Kind, MalformedError, unpack

Body: TypeAlias = list[Record] | Query | Evict | None
"""Of DATA, ACK, EVICT, and FINAL, which has none."""


def parse(frame: bytes) -> tuple[Header, Body]:
    """
    Read a frame, whole.

    Raises:
        MalformedError: It is none.
    """
    kind, header = unpack(frame)
    if kind == Kind.DATA:
        return header, decode_data(frame)
    if kind == Kind.ACK:
        return header, decode_ack(frame, header.flags)
    if kind == Kind.FINAL:
        check_final(frame)
        return header, None
    if kind == Kind.EVICT:
        return header, decode_evict(frame)
    raise MalformedError("kind")
