"""
The order of the embedded engines: groups, members, rings, nodes, and who gets what. No I/O, no clock, no loop.

What happens is put in one order by being called. Each member has a function that takes its records, and gets them
while the call runs; that function keeps them and does nothing else, least of all call back.

Rings are as Corosync has them. A node is on one ring with those it can reach. When rings form anew, a member is told in
one change who of its group went with their nodes, in another who came with theirs, and then the ring; between these
there is no message (exec/cpg.c). A node that is in no ring does not run, and its processes are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg._state.history import Record
from aiocpg.errors import AlreadyJoinedError

MAX_MESSAGE_SIZE = 1_047_552
"""Bytes of payload that a member of an embedded engine sends at the most, as with stock Corosync."""

MAX_NATIVE_SIZE = 4 * 1024 * 1024
"""Bytes where a message was asked to be sent natively, and so of any that comes."""

FIRST_SEQ = 4
"""What the first ring is counted as. Corosync counts by fours."""

_SEQ_STEP = 4

Take: TypeAlias = Callable[[Record], object]


class Seat:
    """
    One member's place in a group.

    Attributes:
        group: The group.
        address: The member.
        take: Gets its records.
    """

    __slots__ = ("address", "group", "take")

    def __init__(self, group: bytes, address: Address, take: Take) -> None:
        self.group = group
        self.address = address
        self.take = take


class _Ring:
    """Nodes that reach each other, and for each group the members there, sorted."""

    def __init__(self, ring_id: RingId, nodes: frozenset[int]) -> None:
        self.nodes = nodes
        self.change = RingChange(ring_id, tuple(sorted(nodes)))
        self.seats: dict[bytes, list[Seat]] = {}


class Sequencer:
    """
    Orders what the members of all groups see.

    Args:
        first_seq: What its first ring is counted as; each later one counts higher.
    """

    def __init__(self, first_seq: int = FIRST_SEQ) -> None:
        self._seq = first_seq - _SEQ_STEP
        self._groups: dict[bytes, dict[Address, Seat]] = {}
        self._rings: dict[int, _Ring] = {}

    # -- What is now

    @property
    def nodes(self) -> tuple[int, ...]:
        """The nodes that run, sorted."""
        return tuple(sorted(self._rings))

    def ring(self, nodeid: int) -> RingChange:
        """The ring a node is on."""
        return self._rings[nodeid].change

    def members(self, nodeid: int, group: bytes) -> tuple[Address, ...]:
        """Who is in a group, as a node sees it."""
        return _addresses(self._audience(self._rings[nodeid], group))

    def groups(self, nodeid: int) -> Mapping[bytes, tuple[Address, ...]]:
        """All groups that have members, as a node sees them."""
        seen = {group: self.members(nodeid, group) for group in sorted(self._groups)}
        return {group: members for group, members in seen.items() if members}

    # -- Members

    def join(self, group: bytes, address: Address, take: Take) -> Seat:
        """
        Take a process into a group. It is told the ring, and then, with the others, that it came.

        Raises:
            AlreadyJoinedError: The process is in the group.
        """
        ring = self._rings[address.nodeid]
        seats = self._groups.setdefault(group, {})
        if address in seats:
            raise AlreadyJoinedError(group)
        seat = seats[address] = Seat(group, address, take)
        ring.seats.pop(group, None)
        take(ring.change)
        self._tell_of_members(ring, group, joined=[MemberChange(address, Reason.JOIN)])
        return seat

    def leave(self, seat: Seat) -> None:
        """Let a member go; it is told, too. Of one that is gone nothing is told."""
        if self._remove(seat):
            ring = self._rings[seat.address.nodeid]
            change = self._tell_of_members(ring, seat.group, left=[MemberChange(seat.address, Reason.LEAVE)])
            seat.take(change)

    def drop(self, seat: Seat) -> None:
        """A member's process ended, or closed without leaving: the others are told. Repeating does nothing."""
        if self._remove(seat):
            ring = self._rings[seat.address.nodeid]
            self._tell_of_members(ring, seat.group, left=[MemberChange(seat.address, Reason.PROCDOWN)])

    def mcast(self, seat: Seat, data: bytes) -> None:
        """
        Put a member's message into the order.

        Raises:
            ValueError: It is no member any more.
        """
        if self._groups.get(seat.group, {}).get(seat.address) is not seat:
            raise ValueError(f"{seat.address} is not a member of {seat.group!r}")
        record = (seat.address, data)
        for other in self._audience(self._rings[seat.address.nodeid], seat.group):
            other.take(record)

    # -- Nodes

    def reform(self, components: Iterable[Iterable[int]]) -> None:
        """
        Form rings of these nodes, one for each component; one that exists already stays.

        Nodes that are in none do not run any more: their members are gone, and get nothing. New ones start.

        Raises:
            ValueError: A node is named twice, or a component is empty.
        """
        wanted = [frozenset(component) for component in components]
        if not all(wanted) or sum(map(len, wanted)) != len(frozenset().union(*wanted)):
            raise ValueError(f"not one place for each node: {[sorted(nodes) for nodes in wanted]}")
        before = self._rings
        standing = {ring.nodes: ring for ring in before.values()}
        self._rings = {}
        for nodes in sorted(wanted, key=min):
            ring = standing.get(nodes) or self._new_ring(nodes)
            self._rings.update(dict.fromkeys(nodes, ring))
        lost = [seat for seats in self._groups.values() for seat in seats.values() if not self._runs(seat)]
        self._tell_of_rings(before)
        for seat in lost:
            self._remove(seat)

    def _new_ring(self, nodes: frozenset[int]) -> _Ring:
        self._seq += _SEQ_STEP
        return _Ring(RingId(min(nodes), self._seq), nodes)

    def _runs(self, seat: Seat) -> bool:
        return seat.address.nodeid in self._rings

    def _tell_of_rings(self, before: Mapping[int, _Ring]) -> None:
        moves = {(before[node], ring) for node, ring in self._rings.items() if node in before}
        moved = sorted((move for move in moves if move[0] is not move[1]), key=lambda move: move[1].change.ring_id)
        for old, new in moved:
            for group in self._groups:
                self._tell_of_ring(group, old, new)

    def _tell_of_ring(self, group: bytes, old: _Ring, new: _Ring) -> None:
        """What the members that went from one ring to another are told of their group, and of the ring."""
        there = self._audience(old, group)
        stayed = [seat for seat in there if seat.address.nodeid in new.nodes]
        left = [MemberChange(seat.address, Reason.NODEDOWN) for seat in there if seat not in stayed]
        now = self._audience(new, group)
        joined = [MemberChange(seat.address, Reason.NODEUP) for seat in now if seat not in stayed]
        if left:
            _tell(stayed, ConfigurationChange(group, _addresses(stayed), (), tuple(left)))
        if joined:
            _tell(stayed, ConfigurationChange(group, _addresses(now), tuple(joined), ()))
        _tell(stayed, new.change)

    # -- Who hears what

    def _tell_of_members(
        self, ring: _Ring, group: bytes, joined: Iterable[MemberChange] = (), left: Iterable[MemberChange] = ()
    ) -> ConfigurationChange:
        seats = self._audience(ring, group)
        change = ConfigurationChange(group, _addresses(seats), tuple(joined), tuple(left))
        _tell(seats, change)
        return change

    def _audience(self, ring: _Ring, group: bytes) -> list[Seat]:
        """Who of a group is on a ring, sorted; kept until somebody comes or goes, because each message asks."""
        found = ring.seats.get(group)
        if found is None:
            everywhere = self._groups.get(group, {}).values()
            here = (seat for seat in everywhere if seat.address.nodeid in ring.nodes)
            found = sorted(here, key=lambda seat: seat.address)
            if found:  # of a group that nobody is in nothing is kept, or names would pile up
                ring.seats[group] = found
        return found

    def _remove(self, seat: Seat) -> bool:
        seats = self._groups.get(seat.group, {})
        if seats.get(seat.address) is not seat:
            return False
        del seats[seat.address]
        if not seats:
            del self._groups[seat.group]
        if ring := self._rings.get(seat.address.nodeid):
            ring.seats.pop(seat.group, None)
        return True


def _addresses(seats: Iterable[Seat]) -> tuple[Address, ...]:
    return tuple(seat.address for seat in seats)


def _tell(seats: Iterable[Seat], record: Record) -> None:
    for seat in seats:
        seat.take(record)
