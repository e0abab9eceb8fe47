"""What members of a walk have seen and sent: values, and lines of JSON. Pure: it knows not whether that is right."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from aiocpg import Address, Reason, RingId

End: TypeAlias = Literal["left", "closed", "killed", "terminated", "here"]
"""How a membership ended: it left, was closed hard, its daemon was killed or terminated, or it outlasted the walk."""


class Content(NamedTuple):
    """One message as its sender made it."""

    size: int
    crc: int


class Delivery(NamedTuple):
    """One message as a member got it. ``incarnation`` is the sender's; ``number`` counts what that one sent, from 0."""

    sender: Address
    incarnation: int
    number: int
    content: Content
    position: int
    view: int


class Ring(NamedTuple):
    """A ring as a member was told of it."""

    ring_id: RingId
    nodes: tuple[int, ...]


class Seen(NamedTuple):
    """A view as a member was told of it; ``joined`` and ``left`` are pairs, sorted."""

    number: int
    position: int
    ring_id: RingId
    members: tuple[Address, ...]
    joined: tuple[tuple[Address, Reason], ...]
    left: tuple[tuple[Address, Reason], ...]


Record: TypeAlias = Delivery | Ring | Seen


class Receipt(NamedTuple):
    """What a confirmed send returned."""

    number: int
    position: int
    view: int


@dataclass
class History:
    """
    One membership, from its join to its end.

    Attributes:
        incarnation: Counts the memberships of a walk, from 1, over all nodes.
        me: The member's address.
        end: How it ended.
        asked: What it had begun to do by itself when it ended.
        sent: What it wanted to send, by number.
        taken: So many of these were taken for certain; what became of later ones is not known.
        receipts: What confirmed sends returned.
        records: What it saw, in its order.
    """

    incarnation: int
    me: Address
    end: End = "here"
    asked: Literal["left", "closed"] | None = None
    sent: list[Content] = field(default_factory=list)
    taken: int = 0
    receipts: list[Receipt] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def __str__(self) -> str:
        return f"member {self.incarnation} ({self.me}, {self.end})"

    @property
    def last_numbers(self) -> dict[int, int]:
        """Incarnation of a sender -> the number of its last message here."""
        return {record.incarnation: record.number for record in self.records if isinstance(record, Delivery)}


def to_lines(histories: Iterable[History]) -> Iterable[str]:
    """Write histories as lines of JSON: one for each membership, followed by one for each thing it saw."""
    for history in histories:
        head = {"incarnation": history.incarnation, "me": history.me, "end": history.end, "asked": history.asked}
        sent = {"sent": history.sent, "taken": history.taken, "receipts": history.receipts}
        yield json.dumps(head | sent)
        for record in history.records:
            yield json.dumps([type(record).__name__, *record])


def from_lines(lines: Iterable[str]) -> list[History]:
    """Read what :func:`to_lines` wrote."""
    histories: list[History] = []
    for line in lines:
        values = json.loads(line)
        if isinstance(values, dict):
            histories.append(_history(values))
        else:
            histories[-1].records.append(_READERS[values[0]](*values[1:]))
    return histories


def _history(head: dict[str, Any]) -> History:
    sent = [Content(*content) for content in head["sent"]]
    receipts = [Receipt(*receipt) for receipt in head["receipts"]]
    return History(head["incarnation"], Address(*head["me"]), head["end"], head["asked"], sent, head["taken"], receipts)


def _delivery(sender: Any, incarnation: int, number: int, content: Any, position: int, view: int) -> Delivery:
    return Delivery(Address(*sender), incarnation, number, Content(*content), position, view)


def _ring(ring_id: Any, nodes: Any) -> Ring:
    return Ring(RingId(*ring_id), tuple(nodes))


def _seen(number: int, position: int, ring_id: Any, members: Any, joined: Any, left: Any) -> Seen:
    addresses = tuple(Address(*member) for member in members)
    return Seen(number, position, RingId(*ring_id), addresses, _changes(joined), _changes(left))


def _changes(pairs: Any) -> tuple[tuple[Address, Reason], ...]:
    return tuple((Address(*address), Reason(reason)) for address, reason in pairs)


_READERS: dict[str, Any] = {"Delivery": _delivery, "Ring": _ring, "Seen": _seen}
