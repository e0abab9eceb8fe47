"""
What members saw, and the check that they saw one thing. Pure: it knows records, not how they were made.

A history is the list of what was delivered to one member, messages and changes of membership, in its order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

from aiocpg import Address


class Content(NamedTuple):
    """One message as its sender made it."""

    length: int
    sequence: int | None
    """None for a message without a header: an empty one."""
    crc: int
    """Of the whole payload."""


class Delivery(NamedTuple):
    """One message as a member got it."""

    sender: Address
    content: Content


class Change(NamedTuple):
    """One line of a configuration change."""

    kind: Literal["J", "L"]
    address: Address
    reason: int


Record: TypeAlias = Delivery | Change
History: TypeAlias = Sequence[Record]
Sent: TypeAlias = Mapping[Address, Sequence[Content]]
"""What every sender sent, in its order."""


class HistoryError(AssertionError):
    """The histories are not what the group promises; the text says who saw what where."""


def parse(text: str) -> list[Record]:
    """Read the record that ``member.c`` writes."""
    return [_parse_line(line.split()) for line in text.splitlines()]


def check(histories: Mapping[str, History], sent: Sent) -> None:
    """
    Check that every member got exactly what was sent, each sender's in its order, and all got it in one order.

    Args:
        histories: A name for the member -> what it saw. All of them were in the group before anybody sent.
        sent: Who sent what.

    Raises:
        HistoryError: Something is missing, doubled, foreign, altered or out of order.
    """
    for name, history in histories.items():
        _check_complete(name, history, sent)
    _check_one_order(histories)


def agreed_part(history: History) -> History:
    """Return the part that all members share: from the last join in it to the last message, changes included."""
    joins = [index for index, record in enumerate(history) if isinstance(record, Change) and record.kind == "J"]
    deliveries = [index for index, record in enumerate(history) if isinstance(record, Delivery)]
    first = joins[-1] if joins else 0
    return history[first : deliveries[-1] + 1 if deliveries else first]


def _parse_line(words: Sequence[str]) -> Record:
    match words:
        case ["M", sender, length, sequence, crc]:
            content = Content(int(length), None if sequence == "-" else int(sequence), int(crc, 16))
            return Delivery(_parse_address(sender), content)
        case ["J" | "L" as kind, address, reason]:
            return Change("J" if kind == "J" else "L", _parse_address(address), int(reason))
    raise HistoryError(f"not a record: {' '.join(words)!r}")


def _parse_address(text: str) -> Address:
    nodeid, _, pid = text.partition(":")
    return Address(int(nodeid), int(pid))


def _check_complete(name: str, history: History, sent: Sent) -> None:
    received: dict[Address, list[Content]] = {sender: [] for sender in sent}
    for record in history:
        if isinstance(record, Delivery):
            if record.sender not in received:
                raise HistoryError(f"{name} got a foreign message: {record}")
            received[record.sender].append(record.content)
    for sender, contents in sent.items():
        if received[sender] != list(contents):
            raise HistoryError(f"{name}, messages of {sender}: {_difference(received[sender], contents)}")


def _difference(received: Sequence[Content], sent: Sequence[Content]) -> str:
    """Name what is wrong with the messages of one sender; that something is, is known."""
    wanted, got = Counter(sent), Counter(received)
    if missing := wanted - got:
        return f"{missing.total()} missing, first {next(iter(missing))}" + _surplus(got - wanted)
    if surplus := got - wanted:
        return _surplus(surplus).lstrip(", ")
    return "out of order, " + _first_difference(received, sent)


def _surplus(surplus: Counter[Content]) -> str:
    return f", {surplus.total()} doubled or altered, first {next(iter(surplus))}" if surplus else ""


def _check_one_order(histories: Mapping[str, History]) -> None:
    parts = {name: agreed_part(history) for name, history in histories.items()}
    (first_name, first), *others = parts.items()
    for name, part in others:
        if list(part) != list(first):
            raise HistoryError(f"{name} against {first_name}: {_first_difference(part, first)}")


def _first_difference(left: Iterable[object], right: Iterable[object]) -> str:
    ours, theirs = list(left), list(right)
    index = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return f"at {index}: {ours[index : index + 1]} where the other has {theirs[index : index + 1]}"
