"""
What members of a group must agree on while rings break and merge. Pure: it knows what was seen, not how it came about.

A history is cut into segments, one for each view, with the messages that stand in it. Members that go from one view to
the next together have the same messages in between. Who parts from the others may have more or fewer at the end of the
last common view. Who comes from another side may miss the first messages of each sender over there (a fact of Corosync
3.1: their packets were packed before the merge), and then has all. And always: what two members both have, they have in
one order, and each sender's messages in its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple, TypeAlias

from aiocpg import Address, Event, Message, RingId, View

Key: TypeAlias = tuple[RingId, tuple[Address, ...]]
Item: TypeAlias = tuple[Address, int]
"""Sender and number of a message."""


class Segment(NamedTuple):
    """A view and the messages in it."""

    key: Key
    items: tuple[Item, ...]


def segments(events: Iterable[Event]) -> list[Segment]:
    """Cut a history, whose messages are numbers, into segments."""
    found: list[Segment] = []
    for event in events:
        if isinstance(event, View):
            found.append(Segment((event.ring_id, event.members), ()))
        elif isinstance(event, Message):
            item = event.sender, int(event.data.split(b":")[0])
            found[-1] = found[-1]._replace(items=(*found[-1].items, item))
    return found


def check(histories: Mapping[str, Sequence[Segment]]) -> int:
    """
    Check all members against each other and each by itself; return how many segments two members shared whole.

    Raises:
        AssertionError: They do not agree; the text says who and where.
    """
    for name, history in histories.items():
        _check_senders(name, history)
    return sum(_check_pair(*pair) for pair in combinations(histories.items(), 2))


def _check_senders(name: str, history: Sequence[Segment]) -> None:
    last: dict[Address, int] = {}
    for segment in history:
        for sender, number in segment.items:
            assert number > last.get(sender, -1), f"{name}: {number} of {sender} after {last[sender]}"
            last[sender] = number


def _check_pair(one: tuple[str, Sequence[Segment]], other: tuple[str, Sequence[Segment]]) -> int:
    (one_name, ones), (other_name, others) = one, other
    places = {segment.key: index for index, segment in enumerate(others)}
    whole = 0
    for index, segment in enumerate(ones):
        place = places.get(segment.key)
        if place is not None:
            # Who joins has everything from its join on, as if it had come along.
            came = 0 in (index, place) or _key(ones, index - 1) == _key(others, place - 1)
            went = _key(ones, index + 1) == _key(others, place + 1)
            where = f"{one_name} and {other_name} in {segment.key}"
            _check_items(where, segment.items, others[place].items, came=came, went=went)
            whole += came and went
    return whole


def _key(history: Sequence[Segment], index: int) -> Key | None:
    return history[index].key if 0 <= index < len(history) else None


def _check_items(where: str, ones: Sequence[Item], others: Sequence[Item], *, came: bool, went: bool) -> None:
    if came and went:
        assert ones == others, f"{where}: {len(ones)} and {len(others)} messages, {_first_difference(ones, others)}"
    elif went:
        for sender in {sender for sender, _ in (*ones, *others)}:
            shorter, longer = sorted(
                ([item for item in items if item[0] == sender] for items in (ones, others)), key=len
            )
            same_end = longer[len(longer) - len(shorter) :] == shorter
            assert same_end, f"{where}: messages of {sender} differ behind the merge"
    common = set(ones) & set(others)
    assert [item for item in ones if item in common] == [item for item in others if item in common], f"{where}: order"


def _first_difference(ones: Sequence[Item], others: Sequence[Item]) -> str:
    place = next((i for i, (a, b) in enumerate(zip(ones, others, strict=False)) if a != b), min(len(ones), len(others)))
    return f"at {place}: {ones[place : place + 1]} against {others[place : place + 1]}"
