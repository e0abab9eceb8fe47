"""
From the changes that CPG reports to the steps from one view to the next.

At a ring change CPG reports who went (NODEDOWN), who came (NODEUP), who died meanwhile (PROCDOWN), and last the ring;
that is one step. A join, a leave and a death by themselves are a step each. A member on a node outside the ring does
not exist, though CPG may name one.
"""

from __future__ import annotations

from typing import NamedTuple

from aiocpg._events import Address, ConfigurationChange, Reason, RingChange

_BY_RING = frozenset({Reason.NODEDOWN, Reason.NODEUP})
_BY_PROCESS = frozenset({Reason.JOIN, Reason.LEAVE})


class Step(NamedTuple):
    """A step to the next view."""

    members: frozenset[Address]
    left: frozenset[Address]
    """Who went since the view before; who is in ``members`` as well has come back."""
    nodes_left: frozenset[int]
    """Nodes that went, and perhaps came back."""
    ring: RingChange


class Membership:
    """
    Folds the changes of one membership.

    Attributes:
        is_gone: Whether the group has seen us go.
    """

    def __init__(self, me: Address) -> None:
        self._me = me
        self._listed: tuple[Address, ...] = ()
        self._ring: RingChange | None = None
        self._left: set[Address] = set()
        self._nodes_left: set[int] = set()
        self._is_collecting = False
        self._has_begun = False
        self.is_gone = False

    def change(self, change: ConfigurationChange) -> list[Step]:
        """Take a change; returns the steps that are complete with it."""
        if self._me not in change.members:
            self.is_gone = True
            return self.finish()
        if not self._has_begun:
            self._listed = change.members
            return self._begin()
        reasons = {reason for _, reason in (*change.left, *change.joined)}
        if reasons & _BY_RING or (self._is_collecting and not reasons & _BY_PROCESS):
            self._is_collecting = True
            self._collect(change)
            return []
        steps = self.finish()  # of those who were listed before this
        self._collect(change)
        return [*steps, self._step()]

    def ring(self, ring: RingChange) -> list[Step]:
        """Take a ring; returns the steps that are complete with it."""
        is_new = self._ring is None or ring.ring_id != self._ring.ring_id
        if not self._has_begun:
            self._ring = ring
            return self._begin() if self._me in self._listed else []
        if not is_new and not self._is_collecting:
            return []
        self._ring = ring
        self._is_collecting = False
        return [self._step()]

    def finish(self) -> list[Step]:
        """A frame came: what was collected is complete, ring or not."""
        if not self._is_collecting:
            return []
        self._is_collecting = False
        return [self._step()]

    def _begin(self) -> list[Step]:
        if self._ring is None:
            return []
        self._has_begun = True
        return [self._step()]

    def _collect(self, change: ConfigurationChange) -> None:
        self._listed = change.members
        self._left.update(address for address, _ in change.left)
        self._nodes_left.update(address.nodeid for address, reason in change.left if reason is Reason.NODEDOWN)

    def _step(self) -> Step:
        assert self._ring is not None  # nothing begins before a ring is known
        left, self._left = frozenset(self._left), set()
        nodes_left, self._nodes_left = frozenset(self._nodes_left), set()
        members = frozenset(address for address in self._listed if address.nodeid in self._ring.nodes)
        return Step(members, left, nodes_left, self._ring)
