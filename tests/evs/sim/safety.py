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


def check(all_stays: dict[Address, list[Stay]], excused: Excused) -> None:
    """Check all SAFE messages; those who failed before need not have them."""
    places = {(stay.life.me, got.message): stay for stay, got in deliveries(all_stays)}
    for there in all_stays.values():
        for stay in there:
            _check_regular(stay, places, excused)
            _check_transitional(stay, places, excused)


def _check_regular(stay: Stay, places: Places, excused: Excused) -> None:
    safe = [got for got in stay.regular if got.guarantee == Guarantee.SAFE]
    for got in safe:
        for member in stay.configuration.members:
            if not excused.is_excused(member, stay.signature):
                _demand("S1", stay, got, member, places)
    for member in stay.configuration.members:
        last = next((got for got in reversed(safe) if got.sender != member), None)
        if last is not None and not excused.is_excused(member, stay.signature):
            _demand_same_before(stay, last, places[member, last.message])


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
