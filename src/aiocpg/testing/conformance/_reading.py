"""
Reading what a membership has drained. Pure: records in, answers out.

What counts is what the library makes events of: the rings; from the change that lists us as joined on, everything; up
to our departure, the change that lists us as left and not as a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from aiocpg import Address, ConfigurationChange, MemberChange, Reason, RingChange

Record: TypeAlias = tuple[Address, bytes] | ConfigurationChange | RingChange
Sent: TypeAlias = tuple[Address, bytes]

_RING_REASONS = frozenset({Reason.NODEDOWN, Reason.NODEUP})


def names(entries: Iterable[MemberChange], who: Address) -> bool:
    """Whether one of these lines is about ``who``."""
    return any(entry.address == who for entry in entries)


def own_join(records: Sequence[Record], me: Address) -> int | None:
    """Where the change stands that lists us as joined."""
    for place, record in enumerate(records):
        if isinstance(record, ConfigurationChange) and names(record.joined, me):
            return place
    return None


def own_departure(records: Sequence[Record], me: Address) -> int | None:
    """Where the change stands, behind our join, that lists us as left and not as a member."""
    join = own_join(records, me)
    if join is None:
        return None
    for place, record in enumerate(records[join:], join):
        if isinstance(record, ConfigurationChange) and names(record.left, me) and me not in record.members:
            return place
    return None


def is_about(record: Record, who: Address) -> bool:
    """Whether a record is a message of ``who``, or a change that names it."""
    if isinstance(record, ConfigurationChange):
        return who in record.members or names(record.joined, who) or names(record.left, who)
    return isinstance(record, tuple) and record[0] == who


def messages(records: Iterable[Record]) -> list[Sent]:
    """The messages."""
    return [record for record in records if isinstance(record, tuple)]


def payloads(records: Iterable[Record], sender: Address) -> list[bytes]:
    """What one sender has sent."""
    return [data for who, data in messages(records) if who == sender]


def rings(records: Iterable[Record]) -> list[RingChange]:
    """The rings."""
    return [record for record in records if isinstance(record, RingChange)]


def without_rings(records: Iterable[Record]) -> list[Sent | ConfigurationChange]:
    """Messages and changes: what stands in one order for all members of a ring."""
    return [record for record in records if not isinstance(record, RingChange)]


def behind_join_of(records: Sequence[Record], who: Address) -> Sequence[Record]:
    """The records behind the change that lists ``who`` as joined, all if there is none."""
    place = own_join(records, who)
    return records if place is None else records[place + 1 :]


def ring_changes(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """Each ring change of a member: from its first change up to the ring that ends it, or to the end of what came."""
    start: int | None = None
    for place, record in enumerate(records):
        if start is None and isinstance(record, ConfigurationChange) and _is_by_ring(record):
            start = place
        elif start is not None and isinstance(record, RingChange):
            yield records[start : place + 1]
            start = None
    if start is not None:
        yield records[start:]


def _is_by_ring(change: ConfigurationChange) -> bool:
    return any(entry.reason in _RING_REASONS for entry in (*change.joined, *change.left))


def first_difference(here: Sequence[Record], there: Sequence[Record]) -> str:
    """Where two sequences that should be one part, in words for people; empty when they do not."""
    if here == there:
        return ""
    place = next((n for n, pair in enumerate(zip(here, there, strict=False)) if pair[0] != pair[1]), None)
    if place is None:
        return f"one has {len(here)} records, the other {len(there)}, and they agree as far as both go"
    return f"at record {place} one has {short(here[place])}, the other {short(there[place])}"


def short(record: Record) -> str:
    """A record in one line, however long its payload."""
    if isinstance(record, tuple):
        return f"a message of {record[0]}: {record[1][:20]!r} ({len(record[1])} bytes)"
    return repr(record)
