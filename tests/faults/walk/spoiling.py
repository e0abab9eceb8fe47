"""
Ways to spoil good histories, each of which the checker must see. Pure.

A way changes histories in place, at a random one of the places where it would be seen, and says whether there was any.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import TypeAlias

from aiocpg import Reason
from faults.walk.imagined import renumbered
from faults.walk.reasons import allowed
from faults.walk.records import Content, Delivery, History, Receipt, Ring, Seen
from faults.walk.stays import Stay, acquaint, stays

Way: TypeAlias = Callable[[Sequence[History], random.Random], bool]

Place: TypeAlias = tuple[History, int]


def _deliveries(histories: Sequence[History]) -> list[Place]:
    return [(one, at) for one in histories for at, record in enumerate(one.records) if isinstance(record, Delivery)]


def _views(histories: Sequence[History]) -> list[Place]:
    return [(one, at) for one in histories for at, record in enumerate(one.records) if isinstance(record, Seen)]


def _neighbours(histories: Sequence[History], *, of_one: bool) -> list[Place]:
    """Return places where two messages stand side by side, of one sender or of two."""
    return [
        (one, at)
        for one, at in _deliveries(histories)
        if at + 1 < len(one.records)
        and isinstance(after := one.records[at + 1], Delivery)
        and (after.incarnation == one.records[at].incarnation) is of_one  # type: ignore[union-attr]
    ]


def _common_ends(histories: Sequence[History]) -> list[Place]:
    """Return the places of last messages before a ring change that somebody went through together with this member."""
    lives = {history.incarnation: stays(history) for history in histories}
    acquaint(lives.values(), {})
    pairs = list(permutations(lives.values(), 2))
    ends = [(stay, stay.after) for one, other in pairs for stay in one if any(_shared(stay, yours) for yours in other)]
    places = [(stay.history, stay.history.records.index(after.ring) - 1) for stay, after in ends if after is not None]
    return [(one, at) for one, at in places if isinstance(one.records[at], Delivery) and _heard(one, at)]


def _shared(one: Stay, other: Stay) -> bool:
    """Whether two with one last message go on together, and neither to a ring with nodes that are new to it."""
    if one.ring != other.ring or one.after is None or other.after is None or one.items[-1:] != other.items[-1:]:
        return False
    return one.goes_with(other) and not one.after.newcomers and not other.after.newcomers


def _last_round(histories: Sequence[History]) -> list[Place]:
    """Return places at the end of the walk, where all who are still there have everything."""
    here = [history for history in histories if history.end == "here"]
    places = [place for one in here if len(here) > 1 for place in _neighbours([one], of_one=False)[-3:]]
    return [(one, at) for one, at in places if _heard(one, at) and _heard(one, at + 1)]


def swapped(histories: Sequence[History], rng: random.Random) -> bool:
    """Turn round two messages of two senders."""
    return _swap(_last_round(histories), rng)


def swapped_of_one_sender(histories: Sequence[History], rng: random.Random) -> bool:
    """Turn round two messages of one sender."""
    return _swap(_neighbours(histories, of_one=True), rng)


def _swap(places: Sequence[Place], rng: random.Random) -> bool:
    for one, at in rng.sample(places, min(1, len(places))):
        one.records[at : at + 2] = one.records[at + 1], one.records[at]
        one.records = renumbered(one.records)
    return bool(places)


def missing(histories: Sequence[History], rng: random.Random) -> bool:
    """Drop a message between two of the same sender."""
    return _drop([(one, at + 1) for one, at in _neighbours(histories, of_one=True) if _goes_on(one, at + 1)], rng)


def _heard(one: History, at: int) -> bool:
    """Whether the sender of this message was heard of before on the same ring: then nothing excuses."""
    incarnation = one.records[at].incarnation  # type: ignore[union-attr]
    for record in reversed(one.records[:at]):
        if isinstance(record, Ring):
            return False
        if isinstance(record, Delivery) and record.incarnation == incarnation:
            return True
    return False


def _goes_on(one: History, at: int) -> bool:
    """Whether the sender of this message is heard of once more on the same ring."""
    incarnation = one.records[at].incarnation  # type: ignore[union-attr]
    for record in one.records[at + 1 :]:
        if isinstance(record, Ring):
            return False
        if isinstance(record, Delivery) and record.incarnation == incarnation:
            return True
    return False


def missing_before_a_common_change(histories: Sequence[History], rng: random.Random) -> bool:
    """Drop the last message before a ring change."""
    return _drop(_common_ends(histories), rng)


def missing_at_the_end(histories: Sequence[History], rng: random.Random) -> bool:
    """Drop the last message of all for one."""
    here = [history for history in histories if history.end == "here"]
    places = [(one, len(one.records) - 1) for one in here if len(here) > 1]
    return _drop([(one, at) for one, at in places if _heard(one, at)], rng)


def _drop(places: Sequence[Place], rng: random.Random) -> bool:
    for one, at in rng.sample(places, min(1, len(places))):
        del one.records[at]
        one.records = renumbered(one.records)
        one.receipts = []  # of what it sent; they would tell
    return bool(places)


def moved_behind_a_common_change(histories: Sequence[History], rng: random.Random) -> bool:
    """Put the last message before a ring change behind it."""
    places = _common_ends(histories)
    for one, at in rng.sample(places, min(1, len(places))):
        behind = at + 2 + any(isinstance(record, Seen) for record in one.records[at + 2 : at + 3])
        one.records.insert(behind, one.records[at])
        del one.records[at]
        one.records = renumbered(one.records)
        one.receipts = []
    return bool(places)


def doubled(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a message come twice."""
    one, at = rng.choice(_deliveries(histories))
    one.records.insert(rng.randrange(at + 1, len(one.records) + 1), one.records[at])
    one.records = renumbered(one.records)
    return True


def foreign(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a message come that nobody sent, or that was another when it was sent."""
    one, at = rng.choice(_deliveries(histories))
    record = one.records[at]
    assert isinstance(record, Delivery)
    number, sender = record.number + 1_000_000, record.sender._replace(pid=1)
    spoilt = ({"number": number}, {"incarnation": 1_000_000}, {"sender": sender}, {"content": Content(16, 0)})
    one.records[at] = record._replace(**rng.choice(spoilt))
    return True


def wrong_reason_to_come(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a member come by a merge that joined, or leave by coming."""
    places = [(one, at) for one, at in _views(histories) if one.records[at].joined]  # type: ignore[union-attr]
    one, at = rng.choice(places)
    view = one.records[at]
    assert isinstance(view, Seen)
    # Just behind a ring change a join might have been a merge, for all that this member can know.
    others = {Reason.JOIN: Reason.LEAVE if isinstance(one.records[at - 1], Ring) else Reason.NODEUP}
    changes = list(view.joined)
    which = rng.randrange(len(changes))
    changes[which] = changes[which][0], others.get(changes[which][1], Reason.LEAVE)
    one.records[at] = view._replace(joined=tuple(changes))
    return True


def wrong_reason_to_go(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a member go for a reason that it never gave."""
    places = [
        (one, at, which, reason)
        for one, at in _views(histories)
        for which, (address, given) in enumerate(one.records[at].left)  # type: ignore[union-attr]
        for reason in Reason
        if reason is not given and not any(reason in allowed(other) for other in histories if other.me == address)
    ]
    for one, at, which, reason in rng.sample(places, min(1, len(places))):
        view = one.records[at]
        assert isinstance(view, Seen)
        changes = list(view.left)
        changes[which] = changes[which][0], reason
        one.records[at] = view._replace(left=tuple(changes))
    return bool(places)


def wrong_members(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a view without one of its members."""
    one, at = rng.choice([(one, at) for one, at in _views(histories) if _is_followed_up(one, at)])
    view = one.records[at]
    assert isinstance(view, Seen)
    gone = rng.choice(view.members)
    one.records[at] = view._replace(members=tuple(member for member in view.members if member != gone))
    return True


def _is_followed_up(one: History, at: int) -> bool:
    """Whether a view has members, and comes between others."""
    record = one.records[at]
    return isinstance(record, Seen) and bool(record.members) and record.number > 1


def wrong_count(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a message or a view count wrongly."""
    one, at = rng.choice(_deliveries(histories) + _views(histories))
    record = one.records[at]
    if isinstance(record, Delivery):
        one.records[at] = record._replace(**{rng.choice(("position", "view")): 1_000_000})
    elif isinstance(record, Seen):
        one.records[at] = record._replace(**{rng.choice(("position", "number")): 1_000_000})
    return True


def wrong_receipt(histories: Sequence[History], rng: random.Random) -> bool:
    """Have a receipt name another place."""
    places = [history for history in histories if history.receipts]
    for one in rng.sample(places, min(1, len(places))):
        number, position, view = one.receipts[-1]
        one.receipts[-1] = Receipt(number, position + 1, view)
    return bool(places)


WAYS: Mapping[str, Way] = {
    way.__name__.replace("_", "-"): way
    for way in (
        swapped,
        swapped_of_one_sender,
        missing,
        missing_before_a_common_change,
        missing_at_the_end,
        moved_behind_a_common_change,
        doubled,
        foreign,
        wrong_reason_to_come,
        wrong_reason_to_go,
        wrong_members,
        wrong_count,
        wrong_receipt,
    )
}
