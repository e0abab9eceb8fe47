"""
What the endpoints of a run have seen and sent, as values: the checker's only input.

A run is a list of lives. It makes no difference where they come from: the simulator records them, and so can the
members of a real cluster, from what their handles yield: each configuration as it is, each delivery as a :class:`Got`.
A real member must have joined all groups that are sent to, or it misses what the checker expects it to have.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from aiocpg import Address
from aiocpg.evs._values import Receipt, RegularConfiguration, TransitionalConfiguration


class End(enum.Enum):
    """How a life ended."""

    HERE = "here"
    """It did not: it was there when the run had settled."""
    LEFT = "left"
    """It went in order, for good or to come back as another life: left, was evicted, or found that it had diverged."""
    LOST = "lost"
    """Its connection was lost. The others take it for crashed; what it said by itself still has to be sound."""
    CRASHED = "crashed"
    """Its process was killed, or its node. It is only held to what it saw before."""

    @property
    def is_failure(self) -> bool:
        """Whether it need not keep what was promised to others on its behalf."""
        return self in {End.LOST, End.CRASHED}


class Got(NamedTuple):
    """One delivery."""

    message: int
    """Which message: a number that no other message of the run has, and that grows with each send of a process."""
    sender: Address
    guarantee: int
    size: int
    crc: int
    position: int
    transitional: bool
    """As the delivery says."""


class Fate(enum.Enum):
    """What a sender was told of a message that it has no receipt of."""

    OPEN = "open"
    """Nothing yet."""
    LOST = "lost"
    """That it was delivered nowhere."""
    UNKNOWN = "unknown"
    """That nobody knows, or that it was not sent any more."""
    WITHDRAWN = "withdrawn"
    """Nothing: its sender gave up on it while it was on its way."""


class Sent(NamedTuple):
    """One send; ``is_large`` where it went in pieces, and so is not in order with the smaller ones."""

    message: int
    guarantee: int
    size: int
    crc: int
    is_large: bool
    outcome: Receipt | Fate


Event: TypeAlias = RegularConfiguration | TransitionalConfiguration | Got


@dataclass
class Life:
    """
    One life of an endpoint, from its join to its departure.

    Attributes:
        me: Its address. Lives of one address follow one another in the order they are listed.
        incarnation: Tells it from the other lives of that address.
        events: What it handed out, in its order.
        sent: What its process sent in its time, also where that went out in the next life only.
        end: How it ended.
    """

    me: Address
    incarnation: int
    events: list[Event] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    end: End = End.HERE

    def __str__(self) -> str:
        return f"{self.me}#{self.incarnation:x}"


class Violation(AssertionError):
    """
    A promise was not kept.

    Attributes:
        rule: Which, by its name in the specification: S1 to S11.
    """

    def __init__(self, rule: str, text: str) -> None:
        super().__init__(f"{rule}: {text}")
        self.rule = rule
