"""S4: those who went from one configuration to the next together have got the same in it."""

from __future__ import annotations

from aiocpg import Address
from evs.sim.excused import Excused
from evs.sim.history import Violation
from evs.sim.stays import Stay


def check(all_stays: dict[Address, list[Stay]], excused: Excused, *, is_exact: bool) -> int:
    """
    Check all pairs; returns how many differed where nobody has vouched, and Corosync's word was not good.

    Those who have vouched have got the same in every case.
    """
    differing = 0
    for there in all_stays.values():
        for stay in there:
            along = stay.transition.members if stay.transition else ()
            for other in along:
                if other != stay.life.me and not excused.is_excused(other, stay.signature):
                    differing += _check_pair(stay, there, all_stays.get(other, []), is_exact=is_exact)
    return differing


def _check_pair(stay: Stay, mine: list[Stay], theirs: list[Stay], *, is_exact: bool) -> bool:
    """Check one with whom we went on; returns whether we differ."""
    if stay.transition and stay.transition.verified:
        _demand_same(stay, theirs)
    companions = _companions(stay, mine, theirs)
    if is_exact:
        _check_transitions(stay, companions)
    differs = bool(companions) and not any(one.content == stay.content for one in companions)
    if differs and is_exact:
        raise Violation("S4", f"{stay.life} and {companions[0].life} went on together from {stay.configuration}")
    return differs


def _demand_same(stay: Stay, there: list[Stay]) -> None:
    same = [one for one in there if one.signature == stay.signature]
    if not any(one.content == stay.content for one in same):
        found = [one.content for one in same]
        raise Violation("S4", f"{stay.transition} is vouched for, {stay.life} has {stay.content}, others {found}")


def _companions(stay: Stay, mine: list[Stay], there: list[Stay]) -> list[Stay]:
    """
    Stays of another in the same configuration, from which it went to the same next one, together with us.

    Where configurations come back that look the same, those are left out that are the like of another stay of ours.
    """
    twins = [one.content for one in mine if one is not stay and _look_the_same(one, stay)]
    found = [one for one in there if _look_the_same(one, stay) and _go_together(one, stay)]
    return [one for one in found if one.content not in twins]


def _look_the_same(one: Stay, other: Stay) -> bool:
    if one.signature != other.signature or one.following is None or other.following is None:
        return False
    return one.following.signature == other.following.signature


def _go_together(one: Stay, other: Stay) -> bool:
    if one.transition is None or other.transition is None:
        return False
    return one.life.me in other.transition.members and other.life.me in one.transition.members


def _check_transitions(stay: Stay, companions: list[Stay]) -> None:
    """Who stays together behind the change, too, was told the same of it."""
    if companions and not any(_is_told_the_same(stay, one) for one in companions):
        told = [one.transition for one in companions]
        raise Violation("S8", f"{stay.life} was told {stay.transition}, {companions[0].life} {told}")


def _is_told_the_same(stay: Stay, one: Stay) -> bool:
    assert stay.transition is not None
    assert one.transition is not None
    is_same = stay.transition.members == one.transition.members
    return is_same or _parts(stay, one.life.me) or _parts(one, stay.life.me)


def _parts(stay: Stay, other: Address) -> bool:
    following = stay.following
    return following is not None and following.transition is not None and other not in following.transition.members
