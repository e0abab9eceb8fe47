"""
A history cut into stays: the time that a member was on one ring, and what it saw there, in its order.

On one ring all members see one sequence: messages, and the changes that are messages themselves (a join, a leave, a
death). A ring change is not in that sequence but between two of them; its view says who came along.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from aiocpg import Address, Reason
from faults.walk.records import Delivery, History, Ring, Seen
from faults.walk.rings import Formed, Logs, met_between

BY_RING = frozenset({Reason.NODEDOWN, Reason.NODEUP})
"""Reasons that only a ring change can bring about."""


class Sent(NamedTuple):
    """A message in the sequence of a ring, named as no other."""

    sender: Address
    incarnation: int
    number: int

    @property
    def node(self) -> int:
        """The sender's node."""
        return self.sender.nodeid


class Changed(NamedTuple):
    """A change in the sequence of a ring: one member came or went, and who was there then."""

    address: Address
    reason: Reason
    members: tuple[Address, ...]

    @property
    def node(self) -> int:
        """The node of whom it is about."""
        return self.address.nodeid


Item: TypeAlias = Sent | Changed


@dataclass
class Stay:
    """
    One member's time on one ring.

    Attributes:
        history: Whose.
        ring: The ring.
        arrival: The view of the ring change that led here; None where it joined here or the change did not touch
            the group.
        before: The stay before; None where it joined here.
        after: The stay after; None where the membership ended here.
        items: What it saw here.
        newcomers: Nodes whose first messages here may be missing, see :func:`acquaint`.
        unannounced: Nodes that its node has met without a word of it in any view, on the way here over short rings.
            Corosync 3.1 compares the last ring on which its services agreed with the newest step only.
    """

    history: History
    ring: Ring
    before: Stay | None
    arrival: Seen | None = None
    after: Stay | None = None
    items: list[Item] = field(default_factory=list)
    newcomers: frozenset[int] = frozenset()
    unannounced: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return f"{self.history} on ring {self.ring.ring_id}"

    @property
    def parted(self) -> frozenset[Address]:
        """Members that went or came by the ring change that led here."""
        if self.arrival is None:
            return frozenset()
        return frozenset(address for address, _ in (*self.arrival.joined, *self.arrival.left))

    @property
    def met(self) -> frozenset[int]:
        """Nodes that were not with this one on the ring before."""
        if self.before is None:
            return frozenset()
        returned = {address.nodeid for address in self.parted if address.nodeid in self.ring.nodes}
        return (frozenset(self.ring.nodes) - frozenset(self.before.ring.nodes)) | returned

    @property
    def unheard(self) -> frozenset[int]:
        """Newcomers of whom nothing came while it was here."""
        return self.newcomers - {item.node for item in self.items if isinstance(item, Sent)}

    def came_with(self, other: Stay) -> bool:
        """Whether both came here from the same ring, neither having been away from the other."""
        if self.before is None or other.before is None or self.before.ring != other.before.ring:
            return False
        return self._was_with(other) and other._was_with(self)

    def _was_with(self, other: Stay) -> bool:
        return other.history.me not in self.parted and other.history.me.nodeid not in self.unannounced

    def goes_with(self, other: Stay) -> bool:
        """Whether both go on to the same ring together, or both stay here to the end of the walk."""
        if self.after is None or other.after is None:
            return self.is_final and other.is_final
        return self.after.ring == other.after.ring and self.after.came_with(other.after)

    @property
    def is_final(self) -> bool:
        """Whether the member was here when the walk ended."""
        return self.after is None and self.history.end == "here"


def stays(history: History) -> list[Stay]:
    """
    Cut a history.

    Raises:
        ValueError: It does not begin with a ring.
    """
    return list(_stays(history))


def _stays(history: History) -> Iterator[Stay]:
    stay: Stay | None = None
    for record in history.records:
        if isinstance(record, Ring):
            if stay is not None:
                yield stay
            stay = Stay(history, record, stay)
            if stay.before is not None:
                stay.before.after = stay
        elif stay is None:
            raise ValueError(f"{history} begins with {record}")
        elif isinstance(record, Delivery):
            stay.items.append(Sent(record.sender, record.incarnation, record.number))
        elif stay.before is not None and not stay.items and stay.arrival is None and is_by_ring(record):
            stay.arrival = record
        else:
            stay.items += changes(record)
    if stay is not None:
        yield stay


def acquaint(lives: Iterable[Sequence[Stay]], logs: Logs) -> None:
    """
    Fill in the newcomers of all stays of all members, given in the order in which they joined.

    They are the nodes that a node has met since its first member joined, until the first message of each has come. It
    is the node that meets: what its daemon cannot put together is missing for a member that joins just after too. Where
    no member saw the ring come, all nodes may be new.
    """
    by_node: dict[int, list[Sequence[Stay]]] = defaultdict(list)
    for life in lives:
        if life:
            by_node[life[0].history.me.nodeid].append(life)
    for node, own in by_node.items():
        _acquaint_node(own, logs.get(node, ()))


def _acquaint_node(lives: Iterable[Sequence[Stay]], log: Sequence[Formed]) -> None:
    last: Stay | None = None
    for life in lives:
        for stay in life:
            if stay.before is not None:
                met = met_between(log, stay.before.ring.ring_id, stay.ring.ring_id)
                stay.unannounced = met.intersection(stay.ring.nodes) - stay.met - {stay.history.me.nodeid}
                stay.newcomers = stay.met | stay.unannounced | stay.before.unheard
            elif last is not None:
                stay.newcomers = last.unheard if last.ring == stay.ring else frozenset(stay.ring.nodes)
            stay.newcomers &= frozenset(stay.ring.nodes) - {stay.history.me.nodeid}
            last = stay


def is_by_ring(view: Seen) -> bool:
    """Whether a ring change made this view."""
    return any(reason in BY_RING for _, reason in (*view.joined, *view.left))


def changes(view: Seen) -> Iterator[Changed]:
    """Return the changes of a view that no ring change made."""
    for address, reason in (*view.left, *view.joined):
        yield Changed(address, reason, view.members)
