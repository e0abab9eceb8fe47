"""Snapshots of made-up connections, for exporters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from aiocpg import Address, Connection, ConnectionStatistics, CPGError, GroupStatistics, Histogram


class Counted:
    """Stands for a connection: what it has counted is what it was given."""

    def __init__(self, told: ConnectionStatistics, error: CPGError | None) -> None:
        self.told = told
        self.error = error
        self.asked = 0

    def statistics(self) -> ConnectionStatistics:
        """See :meth:`aiocpg.Connection.statistics`."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.told


def counted(
    *groups: GroupStatistics,
    reconnects: int = 0,
    ended: Sequence[GroupStatistics] = (),
    error: CPGError | None = None,
) -> Connection:
    """A connection with these groups, or one that cannot be asked."""
    return cast("Connection", Counted(ConnectionStatistics(groups, reconnects, tuple(ended)), error))


def group(name: bytes = b"orders", nodeid: int = 1, **numbers: Any) -> GroupStatistics:
    """A group whose numbers are all different, but for those given."""
    fields: dict[str, Any] = {
        "group": name,
        "member": Address(nodeid, 42),
        "state": "member",
        "sent": 1,
        "sent_bytes": 20,
        "delivered": 3,
        "delivered_bytes": 40,
        "in_flight": 5,
        "in_flight_bytes": 60,
        "lost": 7,
        "congestion_waits": 8,
        "window_waits": 9,
        "buffered_events": 10,
        "buffered_bytes": 110,
        "slow_losses": 12,
        "view_changes": 13,
        "gaps": 14,
        "batch_size": Histogram((1.0, 10.0), (2, 3, 1), 40.0),
        "delivery_seconds": Histogram((0.001,), (4, 0), 0.002),
    }
    return GroupStatistics(**{**fields, **numbers})
