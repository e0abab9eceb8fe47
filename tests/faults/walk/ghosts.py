"""
Ghosts: members that a view lists although their node is not on its ring. Pure.

A merge that breaks before Corosync's services have agreed leaves behind, in the daemon, the list of processes that the
other side had sent by then. Corosync 3.1 applies it at the next ring, with NODEUP, and finds out only at the one after
that nobody is there (PROCDOWN). It is a fault of Corosync. Ghosts are counted, and histories are checked without them.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from aiocpg import Address
from faults.walk.records import History, Record, Ring, Seen


def without_ghosts(history: History) -> tuple[History, int]:
    """Return a history without ghosts, and how many there were."""
    records: list[Record] = []
    ghosts: set[Address] = set()
    nodes: tuple[int, ...] = ()
    members: tuple[Address, ...] = ()
    count = 0
    for record in history.records:
        if isinstance(record, Ring):
            nodes = record.nodes
            records.append(record)
        elif isinstance(record, Seen):
            came = {address for address, _ in record.joined}
            new = {address for address in came if address.nodeid not in nodes}
            count += len(new)
            seen = _without(record, ghosts, ghosts - came | new)
            ghosts = (ghosts - came | new) & set(record.members)
            records += [seen] if seen.joined or seen.left or seen.members != members else []
            members = seen.members
        else:
            records.append(record)
    return replace(history, records=records), count


def _without(view: Seen, before: Collection[Address], now: Collection[Address]) -> Seen:
    return view._replace(
        members=tuple(address for address in view.members if address not in now),
        joined=tuple(change for change in view.joined if change[0] not in now),
        left=tuple(change for change in view.left if change[0] not in before),
    )
