"""What a connection and its groups have counted, as frozen values that an exporter can ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from aiocpg._events import Address

GroupState: TypeAlias = Literal["joining", "member", "away", "leaving", "closed", "lost"]
"""
Where a group stands: ``joining`` until its first view; ``member``; ``away`` while its daemon is lost and come back to;
``leaving``; ``closed`` once this side has left; ``lost`` when it is over for another reason.
"""


@dataclass(frozen=True, slots=True)
class Histogram:
    """How values are spread, from the first join on."""

    bounds: tuple[float, ...]
    """The highest value that each bucket takes."""
    counts: tuple[int, ...]
    """How many values each bucket took, not cumulated. There is one more than ``bounds``: what is above them all."""
    total: float
    """The sum of all values."""

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """
    A snapshot of what one membership has counted since its join, through all daemons that came and went.

    It asks nobody, waits for nothing, and costs some microseconds; with each message sent it costs two additions.
    What counts never goes down, at whatever moment another thread asks. Compare two for a rate.
    """

    group: bytes
    """The group's name."""
    member: Address
    """Our address in it; after a loss the one that is lost."""
    state: GroupState
    """Where it stands."""
    sent: int
    """Own messages that the engine has taken."""
    sent_bytes: int
    """Their payload."""
    delivered: int
    """Messages that came, own ones included: the position of the last."""
    delivered_bytes: int
    """Their payload."""
    in_flight: int
    """Own messages that were taken and are not back."""
    in_flight_bytes: int
    """What they take of the window of 768 KiB: payload, and 192 bytes each."""
    lost: int
    """Own messages that were taken and did not come back: the daemon dropped them, or was lost while they were out."""
    congestion_waits: int
    """How often a send waited because the daemon took nothing. One call may wait several times."""
    window_waits: int
    """How often a send waited because the window was full."""
    buffered_events: int
    """Events that have arrived and were not read; with several readers, what is there for each of them."""
    buffered_bytes: int
    """What they count for in the budgets: payload, and 256 bytes each."""
    slow_losses: int
    """Events that readers have not got because they were slow; each such reader is told by ``SlowConsumerError``."""
    view_changes: int
    """Views so far."""
    gaps: int
    """Losses of the daemon behind which the group went on, or tries to."""
    batch_size: Histogram
    """Messages that one drain brought, of those drains that brought any."""
    delivery_seconds: Histogram
    """
    From when the engine took a message until it was back, of a sample: one message at a time is timed, the next one
    when that is back. Where messages are sent one by one that is each of them, in a flood one of some thousands.
    """

    @property
    def is_over(self) -> bool:
        """Whether the membership has ended, by whatever."""
        return self.state in ("closed", "lost")


@dataclass(frozen=True, slots=True)
class ConnectionStatistics:
    """A snapshot of what a connection has counted."""

    groups: tuple[GroupStatistics, ...]
    """Those that are open, or being joined; in the order of their joins."""
    reconnects: int
    """How often the connection has come back."""
    ended: tuple[GroupStatistics, ...] = ()
    """
    Those that have ended, one for each name and node id: what all their memberships have counted together, in the state
    of the last, ``closed`` or ``lost``. The 100 that ended last; an older one counts from 0 when it is joined again.
    """
