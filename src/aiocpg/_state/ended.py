"""What memberships had counted when they ended: counters of a process must not go down because a group was left."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any

from aiocpg._statistics import GroupStatistics, Histogram

MAX_ENDED = 100
"""Groups that are remembered when they have ended: those that ended last. What joins groups under ever new names would
otherwise fill the memory, and that of who watches it."""


def counted(memberships: Iterable[GroupStatistics]) -> tuple[GroupStatistics, ...]:
    """One for each group and node: what its memberships, given in the order of their ends, have counted together."""
    found: dict[tuple[bytes, int], GroupStatistics] = {}
    for one in memberships:
        key = one.group, one.member.nodeid
        before = found.pop(key, None)  # and in again, as the one that ended last
        found[key] = _at_rest(one) if before is None else together(before, _at_rest(one))
    return tuple(found.values())[-MAX_ENDED:]


def together(one: GroupStatistics, other: GroupStatistics) -> GroupStatistics:
    """The numbers of both, added up; of whom, and in what state, is the second's to say."""
    sums: dict[str, Any] = {}
    for field in fields(GroupStatistics):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, Histogram):
            counts = tuple(map(sum, zip(a.counts, b.counts, strict=True)))
            sums[field.name] = Histogram(a.bounds, counts, a.total + b.total)
        elif isinstance(a, int):
            sums[field.name] = a + b
    return replace(other, **sums)


def _at_rest(one: GroupStatistics) -> GroupStatistics:
    """Nothing is on its way any more, and what nobody has read is nobody's concern."""
    return replace(one, in_flight=0, in_flight_bytes=0, buffered_events=0, buffered_bytes=0)
