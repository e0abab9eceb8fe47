"""What the daemons' logs say of the rings they formed, step by step: more than they tell their clients. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from aiocpg import RingId

_FORMED = re.compile(r"A new membership \((\d+)\.([0-9a-f]+)\) was formed\. Members(?: joined:((?: \d+)+))?")


class Formed(NamedTuple):
    """A ring that a daemon formed, and the nodes that it met there."""

    ring_id: RingId
    joined: frozenset[int]


Logs: TypeAlias = Mapping[int, Sequence[Formed]]
"""Node -> the rings that its daemons formed, in their order."""


def formed(log: str) -> list[Formed]:
    """Read a log."""
    return [
        Formed(RingId(int(found[1]), int(found[2], 16)), frozenset(map(int, (found[3] or "").split())))
        for found in _FORMED.finditer(log)
    ]


def met_between(log: Sequence[Formed], before: RingId, now: RingId) -> frozenset[int]:
    """Return the nodes that a daemon met on its way from one ring to another, on short rings in between too."""
    rings = [step.ring_id for step in log]
    if before not in rings or now not in rings:
        return frozenset()
    steps = log[rings.index(before) + 1 : rings.index(now) + 1]
    return frozenset[int]().union(*(step.joined for step in steps))
