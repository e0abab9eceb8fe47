"""
What exporters of metrics share: which numbers there are, what they are called, and whose they are.

Built on public names, as a user would.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple, get_args

from aiocpg import Connection, GroupState, GroupStatistics

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
"""What only grows while a membership lasts."""

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


class Watched:
    """
    The connections whose numbers are exported.

    Args:
        connections: The first of them.
    """

    def __init__(self, *connections: Connection) -> None:
        self._connections = dict.fromkeys(connections)

    def add(self, connection: Connection) -> None:
        """Export this connection's numbers as well. Repeating does nothing."""
        self._connections = {**self._connections, connection: None}

    def discard(self, connection: Connection) -> None:
        """Export this connection's numbers no more. Repeating does nothing."""
        self._connections = {one: None for one in self._connections if one is not connection}

    def _snapshot(self) -> tuple[list[GroupStatistics], int]:
        """The groups of all connections, and how often these have come back."""
        taken = [connection.statistics() for connection in self._connections]
        return [group for one in taken for group in one.groups], sum(one.reconnects for one in taken)


def shown(name: bytes) -> str:
    """A group's name as text."""
    return name.decode(errors="backslashreplace")


def cumulated(counts: tuple[int, ...]) -> Iterator[int]:
    """Of buckets: how many values each and those below it took."""
    so_far = 0
    for count in counts:
        so_far += count
        yield so_far
