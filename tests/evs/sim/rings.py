"""A ring as the daemons on it see it: one order of what they say, of which each has heard a part."""

from __future__ import annotations

import enum
from typing import NamedTuple

from aiocpg import Address, Reason, RingId

_NOBODY = Address(0, 0)


class Kind(enum.Enum):
    """What a daemon says."""

    FRAME = enum.auto()
    JOIN = enum.auto()
    LEAVE = enum.auto()
    BARRIER = enum.auto()
    """Whom it has, at the beginning of a ring."""


class Item:
    """
    One thing that a daemon says.

    Attributes:
        kind: What.
        node: The daemon's.
        address: The process it is about.
        frame: What that one sent.
        reason: Why it left.
        listed: The daemon's own processes, of a barrier.
        heard_by: The only nodes that get it; None: all.
    """

    __slots__ = ("address", "frame", "heard_by", "kind", "listed", "node", "reason")

    def __init__(
        self,
        kind: Kind,
        node: int,
        address: Address = _NOBODY,
        frame: bytes = b"",
        reason: Reason = Reason.UNDEFINED,
        listed: frozenset[Address] = frozenset(),
    ) -> None:
        self.kind = kind
        self.node = node
        self.address = address
        self.frame = frame
        self.reason = reason
        self.listed = listed
        self.heard_by: frozenset[int] | None = None


class Legacy(NamedTuple):
    """What a daemon brings along into a ring: what any of those had heard who come along with it, and who these are."""

    heard: frozenset[int]
    along: frozenset[int]


class Ring:
    """
    A ring.

    Attributes:
        ring_id: Its id.
        nodes: The nodes on it.
        legacies: What each brings along.
        said: The order.
        is_over: Whether nothing more is said or heard on it.
    """

    def __init__(self, ring_id: RingId, nodes: frozenset[int], legacies: dict[int, Legacy]) -> None:
        self.ring_id = ring_id
        self.nodes = nodes
        self.legacies = legacies
        self.said: list[Item] = []
        self.is_over = False
