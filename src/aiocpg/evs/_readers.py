"""From what an endpoint hands out to the handles of this process: who gets which message, and at which position."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import groupby, repeat
from operator import is_, itemgetter
from typing import NamedTuple

from aiocpg._events import Disconnected, Guarantee
from aiocpg._state.inbox import EVENT_OVERHEAD, Inbox
from aiocpg.errors import CPGError
from aiocpg.evs._endpoint import Delivered
from aiocpg.evs._routing import Joined, Routes
from aiocpg.evs._values import (
    Delivery,
    EvsEvent,
    EvsGroup,
    RegularConfiguration,
    Resumed,
    Resync,
    Stalled,
    TransitionalConfiguration,
)
from aiocpg.evs._wire import Record
from aiocpg.evs._wire.meta import trace_of

_GUARANTEES = tuple(Guarantee)

_guarantee, _keys, _meta, _payload = map(itemgetter, range(4))

_make = partial(tuple.__new__, Delivery)


class Reader:
    """
    What one handle has not read yet.

    Args:
        limit: Its budget in bytes.
        readers: All of its endpoint.

    Attributes:
        inbox: What it has not read.
    """

    def __init__(self, limit: int, readers: Readers) -> None:
        self.inbox: Inbox[EvsEvent] = Inbox(limit, readers.in_force, first=readers.first())
        self._events: list[EvsEvent] = []
        self._size = 0

    def begin(self, event: EvsEvent) -> None:
        """What it begins with, where it was opened before that was there: it has its place whatever the budget."""
        self.inbox.put_gap(event)

    def put(self, events: Sequence[EvsEvent], size: int) -> None:
        """Events of this batch; ``size`` are the bytes of their payload."""
        self._events += events
        self._size += size + EVENT_OVERHEAD * len(events)

    def flush(self) -> None:
        """The batch is over: wake who reads."""
        if self._events:
            self.inbox.put(self._events, self._size)
            self._events = []
            self._size = 0


class Seat(NamedTuple):
    """What a handle has at its endpoint: what it has not read, and what it has joined."""

    reader: Reader
    joined: Joined


class Readers:
    """
    All handles of an endpoint.

    Attributes:
        configuration: The one that was handed out last: in force, or the last of a life that is over.
        stalled: What readers were told of a stall that lasts.
        position: Messages that were delivered.
    """

    def __init__(self) -> None:
        self._routes: Routes[Reader] = Routes()
        self._readers: set[Reader] = set()
        self.configuration: RegularConfiguration | None = None
        self.stalled: Stalled | None = None
        self._over: dict[type[EvsEvent], EvsEvent] = {}
        self.position = 0

    def open(self, limit: int, groups: Sequence[EvsGroup] = ()) -> Seat:
        """One more handle, which has joined these groups; see :func:`aiocpg.evs._routing.at_once`."""
        reader = Reader(limit, self)
        self._readers.add(reader)
        joined = self._routes.add(reader)
        joined.join(groups)
        return Seat(reader, joined)

    def close(self, reader: Reader) -> None:
        """A handle is gone. Repeating does nothing."""
        if reader in self._readers:
            self._readers.remove(reader)
            self._routes.remove(reader)
            reader.inbox.end()

    def is_last(self, reader: Reader) -> bool:
        """Whether there is no other handle."""
        return self._readers <= {reader}

    def first(self) -> Sequence[EvsEvent]:
        """What a new reader begins with: the configuration as it was handed out, with those who joined then."""
        return () if self.configuration is None else (self.configuration, *self._behind())

    def in_force(self) -> Sequence[EvsEvent]:
        """What a reader has to know that has lost something here."""
        now = self.configuration
        if now is None:
            return ()
        quiet = RegularConfiguration(now.number, now.ring_id, now.nodes, (), now.members, ())
        return quiet, *self._behind()

    def _behind(self) -> Sequence[EvsEvent]:
        """What has become of the configuration: it is over while the endpoint is away, or it stalls."""
        return (*self._over.values(), *(() if self.stalled is None else (self.stalled,)))

    def deliver(self, delivered: Delivered) -> int:
        """Hand messages to the handles they are for; returns the position of the first."""
        entry, configuration = delivered
        first = self.position + 1
        self.position += len(entry.records)
        is_transitional = type(configuration) is TransitionalConfiguration
        position = first
        for keys, records in _runs(entry.records):
            following = position + len(records)
            routes = self._routes.of(keys)
            if routes:
                payloads = list(map(_payload, records))
                size = sum(map(len, payloads))
                guarantees = list(map(_GUARANTEES.__getitem__, map(_guarantee, records)))
                traces = list(map(trace_of, map(_meta, records))) if entry.has_meta else repeat(b"")
            for reader, groups in routes:
                # One is made for each message and each handle, at half the cost of Delivery(...).
                fields = zip(
                    repeat(entry.source),
                    payloads,
                    repeat(groups),
                    guarantees,
                    range(position, following),
                    repeat(is_transitional),
                    traces,
                )
                reader.put(list(map(_make, fields)), size)
            position = following
        return first

    def tell(self, event: EvsEvent) -> None:
        """Tell all handles of something that is no message."""
        if isinstance(event, RegularConfiguration):
            is_first = self.configuration is None
            self.configuration = event
            self._over.clear()
            if is_first:
                self._begin(event)
                return
        elif isinstance(event, (TransitionalConfiguration, Disconnected, Resync)):
            # The newest of each: there is no end to losses before the way back is found.
            self._over[type(event)] = event
        elif isinstance(event, (Stalled, Resumed)):
            self.stalled = event if isinstance(event, Stalled) else None
        for reader in self._readers:
            reader.put((event,), 0)

    def _begin(self, configuration: RegularConfiguration) -> None:
        for reader in self._readers:
            reader.begin(configuration)

    def flush(self) -> None:
        """The batch is over."""
        for reader in self._readers:
            reader.flush()

    def end(self, error: CPGError | None = None) -> None:
        """Nothing more comes: each gets what it has, then this error or the end."""
        self.flush()
        for reader in self._readers:
            reader.inbox.end(error)


def _runs(records: Sequence[Record]) -> Iterable[tuple[bytes, Sequence[Record]]]:
    """Messages that follow one another and are for the same groups, together."""
    keys = records[0][1]
    if all(map(is_, map(_keys, records), repeat(keys))):  # the messages of a frame share them, as one object
        return ((keys, records),)
    return ((keys, list(run)) for keys, run in groupby(records, _keys))
