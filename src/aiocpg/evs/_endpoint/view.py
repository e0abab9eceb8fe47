"""One view of the domain's CPG group, as this endpoint sees it: who is in it, what came, who has what."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable, Iterator
from zlib import crc32

from aiocpg._events import Address, RingChange
from aiocpg.evs._endpoint.chain import Chain
from aiocpg.evs._endpoint.chunks import Assembly
from aiocpg.evs._endpoint.happenings import Entry
from aiocpg.evs._wire import Triple

_RING = struct.Struct("<IQ")
_ADDRESS = struct.Struct("<II")


class View:
    """
    A view, from the change that began it until it is delivered.

    Attributes:
        members: The endpoints in it.
        along: Those of them that came along from the view before.
        alive: Those of them that have come along through all later views as well.
        ring: The ring it is on.
        nodes_along: Nodes of the ring that came along.
        fingerprint: A checksum of ring and members.
        chain: The frames that came in it.
        chunks: Messages of which pieces came.
        queue: What came and was not delivered yet, in the agreed order.
        early: UNORDERED messages that came before the view could be installed.
        unstable: SAFE entries that not everybody has acknowledged.
        stable: Up to this count, SAFE entries may be delivered.
        acks: Member -> frames of this view that it has processed for certain.
        finals: Member that goes on -> whether its last word on this view equals ours; not all need to have spoken.
        last_safe: The count of the newest SAFE entry.
        acknowledged: The count in our own newest triple.
        seqs: Sender -> its incarnation and the seq of its newest frame here.
        transition: Once decided: who goes on together with us.
        is_verified: Whether these have vouched for what they had.
        is_doubted: Whether a frame of it said that its sender has processed other frames than we have.
        request: Our newest request that all say where they stand: token, and count when it came back.
    """

    __slots__ = (
        *("acknowledged", "acks", "alive", "along", "chain", "chunks", "early", "finals", "fingerprint", "is_doubted"),
        *("is_verified", "last_safe", "members", "nodes_along", "queue", "request", "ring", "seqs", "stable"),
        *("transition", "unstable"),
    )

    def __init__(
        self, members: Iterable[Address], along: Iterable[Address], ring: RingChange, nodes_along: Iterable[int] = ()
    ) -> None:
        self.members = frozenset(members)
        self.along = frozenset(along)
        self.alive = self.members
        self.ring = ring
        self.nodes_along = frozenset(nodes_along)
        self.fingerprint = fingerprint(ring, self.members)
        self.chain = Chain()
        self.chunks = Assembly()
        self.queue: deque[Entry] = deque()
        self.early: list[Entry] = []
        self.unstable: deque[Entry] = deque()
        self.stable = 0
        self.acks: dict[Address, int] = {}
        self.finals: dict[Address, bool] = {}
        self.last_safe = 0
        self.acknowledged = 0
        self.seqs: dict[Address, tuple[int, int]] = {}
        self.transition: frozenset[Address] | None = None
        self.is_verified = False
        self.is_doubted = False
        self.request: tuple[int, int] | None = None

    @property
    def triple(self) -> Triple:
        """Where we stand in it."""
        return Triple(self.fingerprint, self.chain.count, self.chain.value)

    def has(self, triple: Triple) -> bool:
        """Whether somebody with this triple has processed the same frames of this view as we have, so far."""
        return triple.fingerprint == self.fingerprint and self.chain.has(triple.number, triple.value)

    def settle(self) -> None:
        """See which SAFE entries all members have by now."""
        while self.unstable and self._is_everywhere(self.unstable[0]):
            self.stable = self.unstable.popleft().count

    def _is_everywhere(self, entry: Entry) -> bool:
        return next(self._without(entry), None) is None

    def _without(self, entry: Entry) -> Iterator[Address]:
        acks = self.acks
        return (
            member
            for member in self.members
            if acks.get(member, 0) < entry.count and not (entry.is_implied and member == entry.source)
        )

    @property
    def unacknowledged(self) -> set[Address]:
        """Members that have not acknowledged the oldest SAFE entry that not everybody has; later ones wait for it."""
        return set(self._without(self.unstable[0])) if self.unstable else set()

    def unstable_of(self, source: Address) -> int:
        """How many SAFE entries of this member not all have acknowledged."""
        return sum([entry.source == source for entry in self.unstable])

    def is_deliverable(self, entry: Entry) -> bool:
        """Whether an entry at the head of the queue may be delivered in the regular configuration."""
        return not entry.is_safe or entry.count <= self.stable


def fingerprint(ring: RingChange, members: Iterable[Address]) -> int:
    """A checksum of a ring and the members on it, the same at all of them."""
    said = b"".join(_ADDRESS.pack(*member) for member in sorted(members))
    return crc32(said, crc32(_RING.pack(*ring.ring_id)))
