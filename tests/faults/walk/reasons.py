"""Whether a history's views follow from each other, and their reasons from what was done to the members. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from aiocpg import Address, Reason
from faults.walk.pairs import Violation
from faults.walk.records import Delivery, End, History, Record, Ring, Seen
from faults.walk.stays import BY_RING, Stay

ALLOWED: Mapping[End, frozenset[Reason]] = {
    "left": frozenset({Reason.LEAVE, Reason.NODEDOWN}),
    "closed": frozenset({Reason.PROCDOWN, Reason.NODEDOWN}),
    "killed": frozenset({Reason.NODEDOWN, Reason.PROCDOWN}),  # the second at a ring change only, see below
    "terminated": frozenset({Reason.PROCDOWN, Reason.NODEDOWN}),
    "here": frozenset({Reason.NODEDOWN}),
}
"""How a membership ended -> how others may see it go. Each may have been cut off before it ended, or without ending."""

COMING = frozenset({Reason.JOIN, Reason.NODEUP})


def check(history: History, own: Iterable[Stay], known: Mapping[int, History]) -> None:
    """
    Check the views of one history, which is cut into these stays.

    Raises:
        Violation: A view does not follow from the one before, or a reason is wrong.
    """
    members: frozenset[Address] | None = None
    fresh = False
    present: dict[Address, set[int]] = {}
    before_ring = views_before_rings(history.records)
    unannounced = {stay.ring: stay.unannounced for stay in own}
    for record in history.records:
        if isinstance(record, Ring):
            fresh = True
            # A process of a node that was away untold may be another one now, with the same address.
            present = {one: lives for one, lives in present.items() if one.nodeid not in unannounced[record]}
        elif isinstance(record, Delivery):
            fresh = False
            _check_present(history, record, members or ())
            present.setdefault(record.sender, set()).add(record.incarnation)
        else:
            before = frozenset(record.members) - {history.me} if members is None else members
            _check_view(history, record, before, at_ring_change=fresh)
            for address, reason in record.joined:
                _check_join(history, record, address, reason, known)
            for address, reason in record.left:
                known_ones = _candidates(history, address, present.pop(address, set()), known)
                _check_departure(history, record, (address, reason), known_ones, fresh or record.number in before_ring)
            fresh = False
            members = frozenset(record.members)
    _check_own_end(history)


def _check_present(history: History, delivery: Delivery, members: Iterable[Address]) -> None:
    if delivery.sender not in members:
        raise Violation(f"{history}: {delivery} of one who is no member")


def _check_view(history: History, view: Seen, before: frozenset[Address], *, at_ring_change: bool) -> None:
    joined, left = dict(view.joined), dict(view.left)
    stayed = before - left.keys()
    wrong = (
        (not left.keys() <= before and "left who was no member")
        or (bool(joined.keys() & stayed) and "joined who was a member")
        or (stayed | joined.keys() != set(view.members) and "has other members than that")
        or (list(view.members) != sorted(set(view.members)) and "is not sorted")
        or (not set(joined.values()) <= COMING and "has another reason to come")
        or (bool(COMING & set(left.values())) and "has another reason to go")
        or (bool(BY_RING & {*joined.values(), *left.values()}) and not at_ring_change and "is not behind a ring change")
    )
    if wrong:
        raise Violation(f"{history}: {view} {wrong}; before it were {sorted(before)}")


def views_before_rings(records: Sequence[Record]) -> set[int]:
    """Return the numbers of views behind which nothing comes but a ring: its change has begun with them."""
    numbers: set[int] = set()
    at_ring = False
    for record in reversed(records):
        at_ring = isinstance(record, Ring) or (at_ring and isinstance(record, Seen))
        if at_ring and isinstance(record, Seen):
            numbers.add(record.number)
    return numbers


def _candidates(history: History, address: Address, seen: set[int], known: Mapping[int, History]) -> list[History]:
    """Return who it may be that went: who has sent since it came, or any that had this address."""
    if len(seen) > 1:
        raise Violation(f"{history}: members {sorted(seen)}, all called {address}, without a change between")
    return [known[one] for one in seen] or [other for other in known.values() if other.me == address]


def _check_departure(
    history: History, view: Seen, change: tuple[Address, Reason], candidates: Sequence[History], at_ring_change: bool
) -> None:
    address, reason = change
    if not any(
        reason in allowed(other) and _could_go(other, view, reason, at_ring_change=at_ring_change)
        for other in candidates
    ):
        ended = ", ".join(map(str, candidates))
        raise Violation(f"{history}: {view} has {address} go for {reason.name}; there was {ended}")


def _check_own_end(history: History) -> None:
    departures = [view for view in history.records if isinstance(view, Seen) and _goes(view, history.me)]
    last = [(history.me, Reason.LEAVE)] if history.end == "left" else None
    if departures and (last is None or departures[-1] is not history.records[-1] or list(departures[-1].left) != last):
        raise Violation(f"{history} saw itself go: {departures}")
    if last and not departures:
        raise Violation(f"{history} did not see itself go")


def _check_join(history: History, view: Seen, address: Address, reason: Reason, known: Mapping[int, History]) -> None:
    """A member joins on the ring that its own history begins with, and comes along to later ones only."""
    lives = [other for other in known.values() if other.me == address]
    if not any(_could_come(other, view, reason) for other in lives):
        raise Violation(
            f"{history}: {view} has {address} come for {reason.name}; there was {', '.join(map(str, lives))}"
        )


def _could_come(other: History, view: Seen, reason: Reason) -> bool:
    """Whether a member could come for this reason on this ring; one that has seen nothing could, anywhere."""
    first = next((record.ring_id for record in other.records if isinstance(record, Ring)), None)
    if first is None:
        return True
    return first == view.ring_id if reason is Reason.JOIN else first.seq < view.ring_id.seq


def _could_go(other: History, view: Seen, reason: Reason, *, at_ring_change: bool) -> bool:
    """
    Whether a member could go for this reason here.

    Who leaves, does so on its last ring. A daemon that was killed and is back before the others have agreed on a ring
    without it goes by NODEDOWN for none of them: they find at that ring change that the process is gone.
    """
    if reason is Reason.PROCDOWN and other.end == "killed":
        return at_ring_change or other.asked == "closed"
    rings = [record.ring_id for record in other.records if isinstance(record, Ring)]
    return reason is not Reason.LEAVE or other.end != "left" or rings[-1:] == [view.ring_id]


def allowed(ended: History) -> frozenset[Reason]:
    """Return how others may see a member go: as it ended, or as it was about to end."""
    return ALLOWED[ended.end] | (ALLOWED[ended.asked] if ended.asked else frozenset())


def _goes(view: Seen, me: Address) -> bool:
    return me not in view.members
