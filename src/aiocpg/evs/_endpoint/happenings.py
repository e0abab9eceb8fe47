"""What comes out of an endpoint for its readers."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from aiocpg._events import Address
from aiocpg.evs._values import (
    Configuration,
    Evicted,
    RegularConfiguration,
    Resumed,
    Resync,
    Stalled,
    TransitionalConfiguration,
)
from aiocpg.evs._wire import Record


class Entry:
    """
    Messages of one frame that are delivered together.

    Attributes:
        count: The frame's place in the view.
        source: Who sent it.
        seq: Which of its sender's frames it is, where that is this very life of this endpoint; else 0.
        records: The messages.
        is_safe: Whether they wait until all members have acknowledged the frame.
        is_implied: Whether the frame itself shows that its sender has them: its triple was one of this view.
        has_meta: Whether some message carries something besides its payload.
    """

    __slots__ = ("count", "has_meta", "is_implied", "is_safe", "records", "seq", "source")

    def __init__(
        self,
        count: int,
        source: Address,
        seq: int,
        records: list[Record],
        *,
        is_safe: bool,
        is_implied: bool,
        has_meta: bool = False,
    ) -> None:
        self.count = count
        self.source = source
        self.seq = seq
        self.records = records
        self.is_safe = is_safe
        self.is_implied = is_implied
        self.has_meta = has_meta


class Delivered(NamedTuple):
    """Messages are delivered, in this configuration."""

    entry: Entry
    configuration: Configuration


Happening: TypeAlias = (
    Delivered | RegularConfiguration | TransitionalConfiguration | Stalled | Resumed | Evicted | Resync
)
