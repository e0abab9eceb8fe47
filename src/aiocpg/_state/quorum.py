"""
What a node says of the quorum: whether it is with the majority, that nobody decides it, or that it is not known now.

All have ``is_quorate``, which can be true of the first only: who looks at nothing else is safe.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from aiocpg._events import RingChange, RingId


@dataclass(frozen=True, slots=True)
class Quorum:
    """What the quorum provider of this node's daemon decided for a ring."""

    is_quorate: bool
    """Whether the nodes of this ring are the part of the cluster that may act."""
    nodes: tuple[int, ...]
    """Node ids of the ring, sorted."""
    ring_id: RingId
    """The ring it was decided for. A :class:`View` has the one on which its members last changed."""
    provider: Literal["corosync", "memory"]
    """Who decides: the one that corosync.conf names (libquorum does not tell which), or that of ``memory://``."""


@dataclass(frozen=True, slots=True)
class NoQuorumProvider:
    """
    Nobody decides what a majority is here, so no part of the cluster is ever quorate.

    libquorum says "quorate" in this case, to every side of a partition. It stays so until the daemon is another one.
    """

    reason: str
    """What was found."""
    cure: str
    """What to do for a quorum."""
    is_quorate: ClassVar[Literal[False]] = False


@dataclass(frozen=True, slots=True)
class QuorumUnknown:
    """The daemon is gone, or does not answer: whatever it said last, the others may have gone on without this node."""

    reason: str
    """How it was noticed."""
    is_quorate: ClassVar[Literal[False]] = False


QuorumState: TypeAlias = Quorum | NoQuorumProvider | QuorumUnknown
"""What :attr:`QuorumWatch.state` is, and what iterating hands out."""


def majority(ring: RingChange, nodes: Collection[int]) -> Quorum:
    """The state on a ring where more than half of ``nodes``, with a vote each, are a quorum, as in ``memory://``."""
    return Quorum(2 * len(ring.nodes) > len(nodes), ring.nodes, ring.ring_id, "memory")
