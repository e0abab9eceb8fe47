"""
Ghosts: members that a view lists although their node is not on its ring. Pure.

A merge that breaks before Corosync's services have agreed leaves behind, in the daemon, the list of processes that the
other side had sent by then: ``sync_abort`` clears it in one of two phases only. Corosync 3.1 applies it at the next
ring, with NODEUP, and at the one after that it looks who is there. A ghost who is not goes, with PROCDOWN. One who is,
has risen: to the daemon it was there all the time, so no change reports it, and the view says that it left and came
back.

It is a fault of Corosync. Ghosts are counted, and histories are checked without them: who rises comes then. Nothing is
heard of a ghost before, for Corosync holds messages back until its services have agreed on a ring.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from aiocpg import Address, Reason
from faults.walk.pairs import Violation
from faults.walk.records import History, Record, Ring, Seen


class Ghosts(NamedTuple):
    """How many ghosts were listed, and how many of them rose."""

    listed: int
    risen: int


def without_ghosts(history: History) -> tuple[History, Ghosts]:
    """
    Return a history without ghosts, and what was taken out of it.

    Raises:
        Violation: A ghost went without a word.
    """
    living = _Living()
    for record in history.records:
        if isinstance(record, Seen) and (lost := living.ghosts - living.named(record) - set(record.members)):
            raise Violation(f"{history}: {record} without {sorted(lost)}, who are ghosts and have not gone")
        living.take(record)
    return replace(history, records=living.records), Ghosts(living.listed, living.risen)


class _Living:
    """The records so far, without ghosts."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.ghosts: set[Address] = set()
        self.listed = self.risen = 0
        self._nodes: tuple[int, ...] = ()
        self._members: tuple[Address, ...] | None = None

    def take(self, record: Record) -> None:
        """Go on with a record."""
        if isinstance(record, Seen):
            self._view(record)
            return
        if isinstance(record, Ring):
            self._nodes = record.nodes
        self.records.append(record)

    def named(self, view: Seen) -> set[Address]:
        """Return the ghosts that a view says something of: they go, or rise, which is both to leave and to come."""
        left, joined = dict(view.left), dict(view.joined)
        gone = {ghost for ghost in self.ghosts if left.get(ghost) is Reason.PROCDOWN and ghost not in joined}
        return gone | {
            ghost
            for ghost in self.ghosts
            if ghost.nodeid in self._nodes and (left.get(ghost), joined.get(ghost)) == (Reason.NODEDOWN, Reason.NODEUP)
        }

    def _view(self, view: Seen) -> None:
        named, new = self.named(view), self._new(view)
        self.listed += len(new)
        self.risen += len(named & set(view.members))
        self.ghosts = (self.ghosts - named) | new
        seen = view._replace(
            members=tuple(address for address in view.members if address not in self.ghosts),
            joined=tuple(change for change in view.joined if change[0] not in self.ghosts),
            left=tuple(change for change in view.left if change[0] not in named),
        )
        if seen.joined or seen.left or seen.members != self._members:
            self.records.append(seen)
        self._members = seen.members

    def _new(self, view: Seen) -> set[Address]:
        """Return who comes in a view without its node; behind our own join, the ghosts of our node are listed too."""
        came = {address for address, reason in view.joined if reason is Reason.NODEUP}
        listed = came if self._members is not None else came.union(view.members)
        new = {address for address in listed if address.nodeid not in self._nodes and address in view.members}
        return new - self.ghosts
