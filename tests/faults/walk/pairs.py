"""
Two members on one ring: what they both must have seen, in one order. Pure.

What both have seen is one sequence, without a hole, from the later of their two beginnings. Where they go on together
it ends at the same place for both; where they part, or one of them ends, either may have more at the end, in one order.

One thing is excused: a member may miss the first items of nodes that were not with it on its ring before (see
:func:`acquaint`). That is a fact of Corosync 3.1, which cannot put together what was packed before the merge.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from faults.walk.stays import Item, Sent, Stay


class Violation(AssertionError):
    """The histories do not keep what the group promises; the text says who saw what where."""


def check_pair(one: Stay, other: Stay) -> bool:
    """
    Check two stays on the same ring; return whether the members shared it whole, from one ring change to the next.

    Raises:
        Violation: They do not agree.
    """
    where = f"{one} and {other}"
    if one.ring.nodes != other.ring.nodes:
        raise Violation(f"{where}: the same ring, but of nodes {one.ring.nodes} and {other.ring.nodes}")
    _check_arrival(where, one, other)
    ours, theirs = expected(one, other), expected(other, one)
    _check_order(where, ours, theirs)
    _check_sequence(where, one, other, ours, theirs)
    return one.came_with(other) and one.goes_with(other)


def _check_arrival(where: str, one: Stay, other: Stay) -> None:
    if one.before is None or other.before is None or one.before.ring != other.before.ring:
        return
    unannounced = other.history.me.nodeid in one.unannounced or one.history.me.nodeid in other.unannounced
    if not unannounced and (other.history.me in one.parted) != (one.history.me in other.parted):
        raise Violation(f"{where}: one of them has seen the other go and come, but not the other way round")
    if one.came_with(other) and _change(one) != _change(other):
        raise Violation(f"{where}: they came together and saw {one.arrival} and {other.arrival}")


def _change(stay: Stay) -> object:
    """Return what those who come together see alike: all of a view but its number and position."""
    return stay.arrival and stay.arrival[2:]


def expected(one: Stay, other: Stay) -> list[Item]:
    """
    Return the items of a stay without those that are excused between these two.

    Changes have no number that would tell on which side of the beginning they stand, so those of nodes that are new to
    one of the two are left to others to check.
    """
    new = one.newcomers | other.newcomers
    begin = {node: max(_first(stay, node) for stay in (one, other) if node in stay.newcomers) for node in new}
    return [item for item in one.items if item.node not in begin or _is_behind(item, begin[item.node])]


def _first(stay: Stay, node: int) -> tuple[int, ...]:
    """Return incarnation and number of a node's first message here; beyond all where there is none."""
    return next((item[1:] for item in stay.items if isinstance(item, Sent) and item.node == node), (sys.maxsize,))


def _is_behind(item: Item, begin: tuple[int, ...]) -> bool:
    return isinstance(item, Sent) and item[1:] >= begin


def _check_order(where: str, ours: Sequence[Item], theirs: Sequence[Item]) -> None:
    both = {item for item in ours if isinstance(item, Sent)}.intersection(theirs)
    mine, yours = ([item for item in items if item in both] for items in (ours, theirs))
    if mine != yours:
        raise Violation(f"{where}: in different orders, {first_difference(mine, yours)}")


def _check_sequence(where: str, one: Stay, other: Stay, ours: list[Item], theirs: list[Item]) -> None:
    both_came = one.before is not None and other.before is not None
    together = one.goes_with(other)
    place = _first_common(ours, theirs)
    if place is None:
        if together and not (ours == theirs if both_came else _one_ends_with_the_other(ours, theirs)):
            raise Violation(f"{where}: no message in common, {first_difference(ours, theirs)}")
        return
    fronts = ours[: place[0]], theirs[: place[1]]
    if not (fronts[0] == fronts[1] if both_came else _one_ends_with_the_other(*fronts)):
        raise Violation(f"{where}: they begin differently, {first_difference(*fronts)}")
    ours, theirs = ours[place[0] :], theirs[place[1] :]
    if not together:
        ours, theirs = _up_to_a_leave(one, other, ours, theirs)
    if ours != theirs:
        raise Violation(f"{where}: {len(ours)} and {len(theirs)} items, {first_difference(ours, theirs)}")


def _first_common(ours: Sequence[Item], theirs: Sequence[Item]) -> tuple[int, int] | None:
    places = {item: index for index, item in enumerate(theirs) if isinstance(item, Sent)}
    return next(((index, places[item]) for index, item in enumerate(ours) if item in places), None)


def _one_ends_with_the_other(ours: Sequence[Item], theirs: Sequence[Item]) -> bool:
    shorter, longer = sorted((ours, theirs), key=len)
    return longer[len(longer) - len(shorter) :] == shorter


def _up_to_a_leave(one: Stay, other: Stay, ours: list[Item], theirs: list[Item]) -> tuple[list[Item], list[Item]]:
    """Cut both at the leave of one of them that the other has seen; where there is none, nothing more is promised."""
    for stay, mine, yours in ((one, ours, theirs), (other, theirs, ours)):
        if stay.after is None and stay.history.end == "left" and stay.items[-1] in yours:
            return mine, yours[: yours.index(stay.items[-1]) + 1]
    return [], []


def first_difference(ours: Sequence[object], theirs: Sequence[object]) -> str:
    """Say where two sequences part."""
    place = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"at {place}: {list(ours[place : place + 2])} against {list(theirs[place : place + 2])}"
