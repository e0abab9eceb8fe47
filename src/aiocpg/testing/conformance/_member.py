"""The listeners of a check: they keep what they are told and decide nothing."""

from __future__ import annotations

from collections.abc import Sequence

from aiocpg import Address, CPGError, QuorumState, RingChange
from aiocpg.engine._base import Membership

from ._reading import Record, own_departure, own_join


class Member:
    """
    Listens to a membership and keeps what it drains.

    Args:
        membership: A new one.
        is_lazy: Whether to drain nothing until told otherwise.

    Attributes:
        records: All that has come.
        batches: The same, as the drains gave it.
        losses: What ``on_lost`` was told.
    """

    def __init__(self, membership: Membership, *, is_lazy: bool = False) -> None:
        self.membership = membership
        self.is_lazy = is_lazy
        self.records: list[Record] = []
        self.batches: list[Sequence[Record]] = []
        self.losses: list[CPGError] = []
        membership.listen(self)

    @property
    def me(self) -> Address:
        """Its address."""
        return self.membership.me

    @property
    def has_joined(self) -> bool:
        """Whether it has seen itself come."""
        return own_join(self.records, self.me) is not None

    @property
    def has_left(self) -> bool:
        """Whether it has seen itself go."""
        return own_departure(self.records, self.me) is not None

    def has(self, data: bytes) -> bool:
        """Whether a message with this payload has come."""
        return any(isinstance(record, tuple) and record[1] == data for record in self.records)

    def on_readable(self) -> None:
        """Drain."""
        if not self.is_lazy:
            self.take()

    def take(self) -> None:
        """Drain once."""
        batch = self.membership.drain()
        self.batches.append(batch)
        self.records += batch

    def on_writable(self) -> None:
        """Senders try again by themselves."""

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.losses.append(error)


class RingWatcher:
    """
    Listens to an engine.

    Attributes:
        rings: What ``on_ring`` was told.
        losses: What ``on_lost`` was told.
    """

    def __init__(self) -> None:
        self.rings: list[RingChange] = []
        self.losses: list[CPGError] = []

    def on_ring(self, change: RingChange) -> None:
        """Keep it."""
        self.rings.append(change)

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.losses.append(error)


class QuorumWatcher:
    """
    Listens to what an engine says of the quorum.

    Attributes:
        states: What ``on_quorum`` was told.
        losses: What ``on_quorum_lost`` was told.
    """

    def __init__(self) -> None:
        self.states: list[QuorumState] = []
        self.losses: list[CPGError] = []

    def on_quorum(self, state: QuorumState) -> None:
        """Keep it."""
        self.states.append(state)

    def on_quorum_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.losses.append(error)
