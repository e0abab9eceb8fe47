"""
What exporters of metrics share: which numbers there are, what they are called, and whose they are.

Built on public names, as a user would, but for adding up what memberships have counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from operator import attrgetter
from threading import Lock
from typing import NamedTuple, get_args
from weakref import ref

from aiocpg import Connection, ConnectionStatistics, ForkedError, GroupState, GroupStatistics
from aiocpg._state.ended import counted, together

BYTES = "By"
SECONDS = "s"
"""Units as OpenTelemetry writes them."""

STATES: tuple[str, ...] = get_args(GroupState)
"""All states that a group may be in."""


class Series(NamedTuple):
    """One number of a group."""

    name: str
    """In dotted words, without unit."""
    unit: str
    field: str
    """Of :class:`aiocpg.GroupStatistics`."""
    text: str

    def of(self, group: GroupStatistics) -> int:
        """Its value."""
        value: int = attrgetter(self.field)(group)
        return value


COUNTERS = (
    Series("messages.sent", "{message}", "sent", "Own messages that the engine has taken"),
    Series("payload.sent", BYTES, "sent_bytes", "Payload of own messages that the engine has taken"),
    Series("messages.delivered", "{message}", "delivered", "Messages that came, own ones included"),
    Series("payload.delivered", BYTES, "delivered_bytes", "Payload of messages that came"),
    Series("messages.lost", "{message}", "lost", "Own messages that did not come back"),
    Series("congestion.waits", "{wait}", "congestion_waits", "Waits of sends because the engine took nothing"),
    Series("window.waits", "{wait}", "window_waits", "Waits of sends because the window was full"),
    Series("slow.losses", "{event}", "slow_losses", "Events that readers lost by being slow"),
    Series("view.changes", "{view}", "view_changes", "Views"),
    Series("gaps", "{gap}", "gaps", "Losses of the engine behind which the group went on, or tries to"),
)
"""What only grows."""

GAUGES = (
    Series("in_flight.messages", "{message}", "in_flight", "Own messages that were taken and are not back"),
    Series("in_flight.size", BYTES, "in_flight_bytes", "What own messages on their way take of the window"),
    Series("buffered.events", "{event}", "buffered_events", "Events that arrived and were not read"),
    Series("buffered.size", BYTES, "buffered_bytes", "What events that were not read count for in the budgets"),
)
"""What goes up and down."""

HISTOGRAMS = (
    Series("batch.messages", "{message}", "batch_size", "Messages that one drain brought"),
    Series("delivery.duration", SECONDS, "delivery_seconds", "From a send to the own copy, of a sample"),
)
"""What has a :class:`aiocpg.Histogram`."""


class Exported(NamedTuple):
    """A group on a node, in all connections of this process: what is exported under one set of labels."""

    group: str
    node: int
    counted: GroupStatistics
    """What all memberships have counted, those that have ended included."""
    is_open: bool
    """Whether there is a membership now. What goes up and down is exported of such alone."""
    states: tuple[GroupState, ...]
    """Of each membership now; where there is none, of the last in each connection that is watched."""


class _Left(NamedTuple):
    """What a connection had counted when it was not to be watched any more."""

    connection: Callable[[], Connection | None]
    told: ConnectionStatistics


class Watched:
    """
    The connections whose numbers are exported. What counts never goes down, whatever becomes of them.

    Args:
        connections: The first of them.
    """

    def __init__(self, *connections: Connection) -> None:
        self._connections = list(dict.fromkeys(connections))
        self._left: list[_Left] = []
        # Scrapes come in threads of their own, and loops may have such: what is told of a connection that is let go
        # must not be older than what a scrape has seen.
        self._lock = Lock()

    def add(self, connection: Connection) -> None:
        """Export this connection's numbers as well, from any thread. Repeating does nothing."""
        with self._lock:
            if connection not in self._connections:
                self._connections.append(connection)
                self._left = [one for one in self._left if one.connection() is not connection]

    def discard(self, connection: Connection) -> None:
        """
        Look at this connection no more, and let it go. What it has counted so far stays in the counters; nothing else
        of it is exported. From any thread. Repeating does nothing.
        """
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)
                self._left = [*_compact(self._left), *(_Left(ref(connection), told) for told in _told_by(connection))]

    def _snapshot(self) -> tuple[list[Exported], int]:
        """The groups of all connections, and how often these have come back."""
        with self._lock:
            watched = [told for connection in self._connections for told in _told_by(connection)]
            past = [one.told for one in self._left]
        groups: dict[tuple[bytes, int], _Memberships] = defaultdict(_Memberships)
        for told in past:
            for one in (*told.ended, *told.groups):
                groups[_key(one)].past.append(one)
        for told in watched:
            for one in told.ended:
                groups[_key(one)].ended.append(one)
            for one in told.groups:
                groups[_key(one)].open.append(one)
        return [each.exported() for each in groups.values()], sum(one.reconnects for one in (*past, *watched))


class _Memberships:
    """Those of one group on one node."""

    def __init__(self) -> None:
        self.past: list[GroupStatistics] = []
        self.ended: list[GroupStatistics] = []
        self.open: list[GroupStatistics] = []

    def exported(self) -> Exported:
        every = reduce(together, (*self.past, *self.ended, *self.open))
        states = tuple(one.state for one in self.open or self.ended)
        return Exported(shown(every.group), every.member.nodeid, every, bool(self.open), states)


def _key(group: GroupStatistics) -> tuple[bytes, int]:
    return group.group, group.member.nodeid


def _told_by(connection: Connection) -> tuple[ConnectionStatistics, ...]:
    """What it has counted; nothing in a fork of the process that it belongs to."""
    try:
        return (connection.statistics(),)
    except ForkedError:
        return ()


def _compact(left: Iterable[_Left]) -> list[_Left]:
    """The same; those that nobody holds any more, and that cannot be added again, as one."""
    held = [one for one in left if one.connection() is not None]
    gone = [one.told for one in left if one not in held]
    groups = counted(group for told in gone for group in (*told.ended, *told.groups))
    reconnects = sum(told.reconnects for told in gone)
    return [_Left(lambda: None, ConnectionStatistics((), reconnects, groups)), *held]


def shown(name: bytes) -> str:
    r"""A group's name as text, another one for each: bytes that are no UTF-8 as ``\xff``, a backslash as two."""
    return name.replace(b"\\", b"\\\\").decode(errors="backslashreplace")


def cumulated(counts: tuple[int, ...]) -> Iterator[int]:
    """Of buckets: how many values each and those below it took."""
    so_far = 0
    for count in counts:
        so_far += count
        yield so_far
