"""
Folding configuration changes into views.

At a ring change libcpg reports, for each group it touches, one change with those who went (NODEDOWN), one with those
who came (NODEUP), one for each process that died meanwhile (PROCDOWN), and at the end the new ring, without a message
in between (exec/cpg.c). A node that was away sees everybody leave and come back. Acting on each of these is wrong, so
they are folded into one view when the ring arrives. A plain join, leave or death is a view of its own: no ring
follows it.

One thing libcpg does not report. After a merge that broke off, Corosync 3.1 lists processes whose node is not on the
ring: ghosts. When such a node is on the next ring, its processes stay listed without a word, although their history was
never ours. That the ring tells: who was listed without its node, and is listed with it now, has left and come back.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId, View

_RING_REASONS = frozenset({Reason.NODEDOWN, Reason.NODEUP})

NO_RING = RingId(0, 0)
"""Stands in a view made before any ring was reported, which no Corosync known to us does."""


class ViewFolder:
    """
    Turns the changes of one group into its views.

    Attributes:
        pending: The change that waits for its ring.
        view: The newest view.
    """

    def __init__(self, group: bytes) -> None:
        self._group = group
        self._ring: RingChange | None = None
        self._number = 0
        self._members: tuple[Address, ...] = ()
        self.pending: _Change | None = None
        self.view: View | None = None

    def change(self, change: ConfigurationChange, position: int) -> View | None:
        """Take a configuration change; a view, where it is one by itself."""
        pending = self.pending
        if pending is None:
            pending = self.pending = _Change(self._members)
        pending.add(change)
        waits_for_ring = self._ring is None or pending.by_ring
        return None if waits_for_ring else self.close(position)

    def ring(self, ring: RingChange, position: int) -> View | None:
        """Take a new ring, which ends the change that is pending."""
        before, self._ring = self._ring, ring
        risen = () if before is None else self._risen(before, ring)
        if risen:
            self.pending = self.pending or _Change(self._members)
            self.pending.add_risen(risen)
        return self.close(position)

    def _risen(self, before: RingChange, now: RingChange) -> tuple[Address, ...]:
        """Members whose node was not on the ring before, although they were listed there, and is on this one."""
        came = set(now.nodes).difference(before.nodes)
        return tuple(member for member in self._members if member.nodeid in came)

    def close(self, position: int) -> View | None:
        """End the pending change, if any; a message is about to come."""
        change, self.pending = self.pending, None
        if change is None:
            return None
        joined, left = change.result()
        if not joined and not left and change.members == self._members:
            return None
        self._members = change.members
        self._number += 1
        ring_id = self._ring.ring_id if self._ring else NO_RING
        self.view = View(self._group, change.members, joined, left, ring_id, self._number, position)
        return self.view

    def break_off(self) -> None:
        """The membership is lost: a change that is pending never ends, and the next one begins with nobody."""
        self._ring = None
        self._members = ()
        self.pending = None


class _Change:
    """The changes since the last view."""

    def __init__(self, members: tuple[Address, ...]) -> None:
        self._before = frozenset(members)
        self._joined: dict[Address, Reason] = {}
        self._left: dict[Address, Reason] = {}
        self.members = members
        self.by_ring = False

    def add(self, change: ConfigurationChange) -> None:
        self._note(self._left, change.left)
        self._note(self._joined, change.joined)
        self.members = change.members

    def add_risen(self, ghosts: Sequence[Address]) -> None:
        """Members whose coming nobody reported: they have left and come back, unless the change says what they did."""
        for ghost in ghosts:
            if ghost in self.members and ghost not in self._joined:
                self._left[ghost], self._joined[ghost] = Reason.NODEDOWN, Reason.NODEUP

    def _note(self, changes: dict[Address, Reason], entries: Sequence[MemberChange]) -> None:
        for address, reason in entries:
            changes[address] = reason
            self.by_ring = self.by_ring or reason in _RING_REASONS

    def result(self) -> tuple[dict[Address, Reason], dict[Address, Reason]]:
        """
        Who came and who went, measured against the view before.

        Who left and came back is in both, because its history parted from ours. Who came and went within the change is
        in neither, nor is a process that nobody knew.
        """
        members = frozenset(self.members)
        left = {who: why for who, why in self._left.items() if who in self._before}
        joined = {who: why for who, why in self._joined.items() if who in members}
        return joined, left
