"""A life cut into stays: one in each configuration. What is checked here can be seen in one life alone (S8)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from aiocpg import Address, Guarantee, RingId
from aiocpg.evs._values import RegularConfiguration, TransitionalConfiguration
from evs.sim.history import Got, Life, Violation

Signature: TypeAlias = tuple[RingId, tuple[Address, ...]]
"""What tells one configuration from another in the histories of several members, nearly always."""


@dataclass
class Stay:
    """One life's time in one configuration."""

    life: Life
    configuration: RegularConfiguration
    transition: TransitionalConfiguration | None = None
    regular: list[Got] = field(default_factory=list)
    transitional: list[Got] = field(default_factory=list)
    following: Stay | None = None

    @property
    def signature(self) -> Signature:
        """Ring and members."""
        return self.configuration.ring_id, self.configuration.members

    @property
    def all(self) -> list[Got]:
        """What was delivered in it, in order."""
        return self.regular + self.transitional

    @property
    def ordered(self) -> list[int]:
        """The messages that have a place in the order."""
        return [got.message for got in self.all if got.guarantee != Guarantee.UNORDERED]

    @property
    def content(self) -> tuple[list[int], set[int]]:
        """What two members have in common that saw the same: the order, and all there is."""
        return self.ordered, {got.message for got in self.all}


def stays(life: Life) -> list[Stay]:
    """
    Cut a life.

    Raises:
        Violation: It is not sound by itself.
    """
    found: list[Stay] = []
    for event in life.events:
        if isinstance(event, RegularConfiguration):
            _begin(life, found, event)
        elif not found:
            raise Violation("S8", f"{life} begins with {event}")
        elif isinstance(event, TransitionalConfiguration):
            _end(life, found[-1], event)
        else:
            _deliver(found[-1], event)
    _check_positions(life)
    return found


def _begin(life: Life, found: list[Stay], new: RegularConfiguration) -> None:
    stay = Stay(life, new)
    complaints = {
        "is not in it": life.me not in new.members,
        "has members on other nodes": not {member.nodeid for member in new.members} <= set(new.nodes),
        "is not sorted": list(new.members) != sorted(new.members) or list(new.nodes) != sorted(new.nodes),
    }
    if not found:
        complaints["did not join it"] = life.me not in new.joined
    else:
        transition = found[-1].transition
        if transition is None:
            raise Violation("S8", f"{life}: no transitional configuration before {new}")
        complaints |= {
            "does not follow in number": new.number != transition.number + 1,
            "has lost some who came along": not set(transition.members) <= set(new.members),
            "tells wrongly who came": set(new.joined) != set(new.members) - set(transition.members),
            "tells wrongly which nodes came": set(new.nodes_joined) != set(new.nodes) - set(transition.nodes),
        }
        found[-1].following = stay
    _complain(life, new, complaints)
    found.append(stay)


def _end(life: Life, stay: Stay, transition: TransitionalConfiguration) -> None:
    old = stay.configuration
    complaints = {
        "is the second": stay.transition is not None,
        "is of another configuration": (transition.number, transition.ring_id) != (old.number, old.ring_id),
        "is without itself": life.me not in transition.members,
        "has members from outside": not set(transition.members) <= set(old.members),
        "tells wrongly who left": set(transition.left) != set(old.members) - set(transition.members),
        "has nodes from outside": not set(transition.nodes) <= set(old.nodes),
        "tells wrongly which nodes left": set(transition.nodes_left) != set(old.nodes) - set(transition.nodes),
    }
    _complain(life, transition, complaints)
    stay.transition = transition


def _deliver(stay: Stay, got: Got) -> None:
    complaints = {
        "says wrongly in which kind of configuration": got.transitional != (stay.transition is not None),
        "is of nobody in it": got.sender not in stay.configuration.members,
    }
    _complain(stay.life, got, complaints)
    (stay.regular if stay.transition is None else stay.transitional).append(got)


def _check_positions(life: Life) -> None:
    positions = [event.position for event in life.events if isinstance(event, Got)]
    if any(later <= earlier for earlier, later in itertools.pairwise(positions)):
        raise Violation("S8", f"{life}: positions do not grow")


def _complain(life: Life, what: object, complaints: dict[str, bool]) -> None:
    for text, is_so in complaints.items():
        if is_so:
            raise Violation("S8", f"{life}: {what} {text}")


def by_address(lives: list[Life]) -> dict[Address, list[Stay]]:
    """All stays, by address; those of one address in their order."""
    found: dict[Address, list[Stay]] = {}
    for life in lives:
        found.setdefault(life.me, []).extend(stays(life))
    return found


def deliveries(all_stays: dict[Address, list[Stay]]) -> Iterator[tuple[Stay, Got]]:
    """Each delivery with where it was."""
    for there in all_stays.values():
        for stay in there:
            for got in stay.all:
                yield stay, got
