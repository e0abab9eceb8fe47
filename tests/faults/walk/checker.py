"""
Whether what the members of a walk have seen keeps what a group promises. Pure.

Each history is checked by itself (``alone``), against what was done to the members (``reasons``), and on each ring
against every other there (``pairs``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from types import MappingProxyType
from typing import NamedTuple

from aiocpg import Reason, RingId
from faults.walk import alone, reasons
from faults.walk.ghosts import without_ghosts
from faults.walk.pairs import Violation, check_pair
from faults.walk.records import History
from faults.walk.rings import Logs
from faults.walk.stays import Sent, Stay, acquaint, stays

__all__ = ["Summary", "Violation", "check"]


class Summary(NamedTuple):
    """What was checked, and what was missed behind merges."""

    messages: int = 0
    """Deliveries to all members."""
    rings: int = 0
    """Rings that had members."""
    shared: int = 0
    """Pairs of members that shared a ring whole, from one change to the next."""
    merges: int = 0
    """How often a member came to a ring with a node that was new to it."""
    lossy: int = 0
    """How many of these missed something."""
    missed: int = 0
    """Messages missed there."""
    late: int = 0
    """Messages missed by members that joined on such a ring."""
    ghosts: int = 0
    """Members that were listed although their node was not there."""
    risen: int = 0
    """Ghosts whose node came before they had gone."""
    unannounced: int = 0
    """Nodes that had been away from a member's node, and no view told it."""

    def __add__(self, other: object) -> Summary:
        assert isinstance(other, Summary)
        return Summary(*(mine + yours for mine, yours in zip(self, other, strict=True)))


def check(histories: Sequence[History], logs: Logs = MappingProxyType({})) -> Summary:
    """
    Check the histories of a whole walk against each other and each by itself.

    Args:
        histories: In the order in which the members joined.
        logs: What the daemons said of their rings. A member is told less, and cannot miss what nobody tells it of.

    Raises:
        Violation: They do not keep the promises; the text says who saw what where.
    """
    alone.check_counting(histories)
    real = [without_ghosts(history) for history in histories]
    summary = _check([history for history, _ in real], logs)
    return summary._replace(
        ghosts=sum(ghosts.listed for _, ghosts in real), risen=sum(ghosts.risen for _, ghosts in real)
    )


def _check(histories: Sequence[History], logs: Logs) -> Summary:
    known = {history.incarnation: history for history in histories}
    lives = {history.incarnation: stays(history) for history in histories}
    acquaint(lives.values(), logs)
    rings: dict[RingId, list[Stay]] = defaultdict(list)
    for history in histories:
        alone.check(history, lives[history.incarnation], known)
        reasons.check(history, lives[history.incarnation], known)
        for stay in lives[history.incarnation]:
            rings[stay.ring.ring_id].append(stay)
    alone.check_nodes(histories)
    shared = sum(check_pair(*pair) for there in rings.values() for pair in combinations(there, 2))
    losses = [loss for there in rings.values() for loss in all_missed(there)]
    summary = Summary(_deliveries(rings), len(rings), shared)
    summary = summary._replace(unannounced=sum(len(stay.unannounced) for there in rings.values() for stay in there))
    return sum((Summary(0, 0, 0, *loss) for loss in losses), summary)


def _deliveries(rings: Mapping[RingId, Iterable[Stay]]) -> int:
    return sum(isinstance(item, Sent) for there in rings.values() for stay in there for item in stay.items)


def all_missed(there: Sequence[Stay]) -> Iterator[tuple[int, int, int, int]]:
    """Yield, for each member on a ring and each node new to it, what it adds to the last four of a summary."""
    for stay in there:
        for node in sorted(stay.newcomers):
            count = max(missed(stay, node, other) for other in there)
            came = stay.before is not None
            yield (came, came and count > 0, count * came, count * (not came))


def missed(stay: Stay, node: int, other: Stay) -> int:
    """Count the messages of a node that another has before the first that this one has, since it came or joined."""
    mine = {item for item in stay.items if isinstance(item, Sent) and item.node == node}
    count = 0
    is_there = stay.before is not None
    for item in other.items:
        if item in mine:
            return count
        if isinstance(item, Sent):
            count += is_there and item.node == node
        elif stay.before is None and item.address == stay.history.me:
            is_there, count = item.reason is Reason.JOIN, 0
    return 0
