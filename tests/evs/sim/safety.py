"""S1 and S2: who has a SAFE message when somebody has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from aiocpg import Address, Guarantee
from evs.sim.excused import Excused
from evs.sim.history import Got, Violation
from evs.sim.stays import Stay, deliveries

Places: TypeAlias = Mapping[tuple[Address, int], Stay]
"""Where who delivered which message."""


def check(all_stays: dict[Address, list[Stay]], excused: Excused, *, loses_joins: bool = False) -> int:
    """
    Check all SAFE messages; those who failed before need not have them.

    Where joins are lost, a member may not know that a configuration is over in which the sender of a message still was
    when it sent it. The message itself shows that the sender has it, but not in which configuration: it has delivered
    it in the next. Such pairs are counted and returned, and are a violation anywhere else.
    """
    places = {(stay.life.me, got.message): stay for stay, got in deliveries(all_stays)}
    elsewhere = 0
    for there in all_stays.values():
        for stay in there:
            elsewhere += _check_regular(stay, places, excused, loses_joins=loses_joins)
            _check_transitional(stay, places, excused)
    return elsewhere


def _check_regular(stay: Stay, places: Places, excused: Excused, *, loses_joins: bool) -> int:
    safe = [got for got in stay.regular if got.guarantee == Guarantee.SAFE]
    elsewhere = set()
    for got in safe:
        for member in stay.configuration.members:
            if excused.is_excused(member, stay.signature):
                continue
            has_been = loses_joins and member == got.sender and excused.has_been(member, stay.signature)
            if has_been and _is_elsewhere(stay, places.get((member, got.message))):
                elsewhere.add(got.message)
                continue
            _demand("S1", stay, got, member, places)
    safe = [got for got in safe if got.message not in elsewhere]
    for member in stay.configuration.members:
        last = next((got for got in reversed(safe) if got.sender != member), None)
        if last is not None and not excused.is_excused(member, stay.signature):
            _demand_same_before(stay, last, places[member, last.message])
    return len(elsewhere)


def _is_elsewhere(stay: Stay, place: Stay | None) -> bool:
    """Whether it was delivered in another configuration on the same ring, or at its end."""
    if place is None or place.signature == stay.signature:
        return False
    return place.configuration.ring_id == stay.configuration.ring_id


def _check_transitional(stay: Stay, places: Places, excused: Excused) -> None:
    if stay.transition is None:
        return
    for got in stay.transitional:
        if got.guarantee == Guarantee.SAFE:
            for member in stay.transition.members:
                if not excused.is_excused(member, stay.signature):
                    _demand("S2", stay, got, member, places)


def _demand(rule: str, stay: Stay, got: Got, member: Address, places: Places) -> None:
    place = places.get((member, got.message))
    if place is None:
        raise Violation(rule, f"{stay.life} delivered {got} in {stay.configuration}, {member} did not")
    if place.signature != stay.signature:
        raise Violation(rule, f"{stay.life} delivered {got} in {stay.configuration}, {member} in {place.configuration}")


def _demand_same_before(stay: Stay, got: Got, other: Stay) -> None:
    mine, yours = (_until(one.ordered, got.message) for one in (stay, other))
    if mine != yours:
        raise Violation("S1p", f"before {got}, {stay.life} had {mine} and {other.life} {yours}")


def _until(messages: list[int], message: int) -> list[int]:
    return messages[: messages.index(message)]
