"""
Faults of engines in what they drain and send: a class each, one broken promise each.

``test_conformance_faults.py`` tells who finds which.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from aiocpg import (
    ConfigurationChange,
    MemberChange,
    Reason,
    RingChange,
    RingId,
)
from support.faulty import FaultyEngine, FaultyMembership, is_departure_of, is_join_of

# -- 2. The own join


class DropsOwnJoin(FaultyMembership):
    """Never says that it has joined."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        return [record for record in records if not is_join_of(record, self.me)]


class JoinsByAnotherReason(FaultyMembership):
    """Says NODEUP of itself."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            if is_join_of(record, self.me):
                yield replace(record, joined=(MemberChange(self.me, Reason.NODEUP),))
            else:
                yield record


class JoinsBehindAMessage(FaultyMembership):
    """Holds its own join back until a message has come."""

    held: Any = None

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            if is_join_of(record, self.me):
                self.held = record
                continue
            yield record
            if self.held and isinstance(record, tuple):
                yield self.held
                self.held = None


class ReplaysTheOldest(FaultyMembership):
    """Hands a message from before its join to the newcomer."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            yield record
            if is_join_of(record, self.me):
                yield record.members[0], b"before 49"


class KnowsNoMembers(FaultyEngine):
    """Its snapshots are behind."""

    async def members(self, name: bytes) -> Any:
        return ()


class KnowsNoGroups(FaultyEngine):
    """Its snapshots are behind."""

    async def groups(self) -> Any:
        return {}


class ListsMembersUnsorted(FaultyEngine):
    """In some other order."""

    async def members(self, name: bytes) -> Any:
        return (await self.real.members(name))[::-1]


# -- 3. The ring


class HidesRings(FaultyMembership):
    """Tells none."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        return [record for record in records if not isinstance(record, RingChange)]


class TellsAStaleRing(FaultyMembership):
    """Tells another one than the others are told."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        stale = RingId(1, 1)
        return [replace(record, ring_id=stale) if isinstance(record, RingChange) else record for record in records]


class TellsRingTwice(FaultyEngine):
    """To the connection."""

    def listen(self, listener: Any) -> None:
        told = listener.on_ring

        def on_ring(change: RingChange) -> None:
            told(change)
            told(change)

        listener.on_ring = on_ring
        super().listen(listener)


class AsksForNoRing(FaultyEngine):
    """Does not do it."""

    def ask_ring(self) -> None:
        """Nothing."""


# -- 4. One order


class SwapsTwoMessages(FaultyMembership):
    """Once, those of two senders that stand side by side."""

    held: Any = None
    done = False

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            if self.done or not isinstance(record, tuple):
                yield from self.let_go()
                yield record
            elif self.held is None or self.held[0] == record[0]:
                yield from self.let_go()
                self.held = record
            else:
                self.done = True
                yield record
                yield from self.let_go()

    def let_go(self) -> Iterable[Any]:
        if self.held is not None:
            yield self.held
            self.held = None


class TellsChangesLate(FaultyMembership):
    """One message too late, those of others."""

    held: Any = None

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            if isinstance(record, ConfigurationChange) and record.members and not is_join_of(record, self.me):
                self.held = record
                continue
            yield record
            if self.held and isinstance(record, tuple):
                yield self.held
                self.held = None


class DropsOneOfAnother(FaultyMembership):
    """The tenth message of somebody else."""

    count = 0

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            self.count += isinstance(record, tuple) and record[0] != self.me
            if self.count == 10:
                self.count += 1
            else:
                yield record


class DoublesOneOfAnother(FaultyMembership):
    """The tenth message of somebody else."""

    count = 0

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            self.count += isinstance(record, tuple) and record[0] != self.me
            if self.count == 10:
                self.count += 1
                yield record
            yield record


class SendsBatchesBackwards(FaultyMembership):
    """The same for all who get it, and wrong."""

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        if len(messages) < 3:
            return self.real.mcast_many(messages)
        return self.real.mcast_many([messages[1], messages[0], *messages[2:]])


class SendsTwice(FaultyMembership):
    """Whatever is sent singly."""

    def mcast(self, data: bytes) -> bool:
        self.real.mcast(data)
        return self.real.mcast(data)


# -- 5. Ring changes


class TellsRingBehindAMessage(FaultyMembership):
    """Holds each ring back until a message has come."""

    held: Any = None

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            if isinstance(record, RingChange):
                self.held = record
                continue
            yield record
            if self.held and isinstance(record, tuple):
                yield self.held
                self.held = None


# -- 6. Own messages


class SwallowsOwn(FaultyMembership):
    """Large ones."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        return [record for record in records if not (isinstance(record, tuple) and len(record[1]) > 100_000)]


class DoublesOwn(FaultyMembership):
    """Large ones."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            yield record
            if isinstance(record, tuple) and len(record[1]) > 100_000:
                yield record


class ShortensOwn(FaultyMembership):
    """By a byte."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            yield (record[0], record[1][: 300_000 - 1]) if isinstance(record, tuple) else record


class DepartsBeforeTheLastMessage(FaultyMembership):
    """Holds its newest message back until something else has come, if it is the departure."""

    held: Any = None

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            late, self.held = self.held, None
            if late is not None and not is_departure_of(record, self.me):
                yield late
                late = None
            if isinstance(record, tuple):
                self.held = record
            else:
                yield record
            if late is not None:
                yield late


class SendsWhatItRefuses(FaultyMembership):
    """The fiftieth message."""

    count = 0

    def mcast(self, data: bytes) -> bool:
        self.count += 1
        return self.real.mcast(data) and self.count != 50


class LosesInCongestion(FaultyMembership):
    """The first five that it should refuse."""

    count = 0

    def mcast(self, data: bytes) -> bool:
        taken = self.real.mcast(data)
        self.count += not taken
        return taken or self.count <= 5


# -- 7. The own departure


class DepartsByAnotherReason(FaultyMembership):
    """Says PROCDOWN of itself."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            if is_departure_of(record, self.me):
                yield replace(record, left=(MemberChange(self.me, Reason.PROCDOWN),))
            else:
                yield record


class HidesDeparture(FaultyMembership):
    """Of itself."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        return [record for record in records if not is_departure_of(record, self.me)]


class SpeaksBehindDeparture(FaultyMembership):
    """Drains a message of its own there."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            yield record
            if is_departure_of(record, self.me):
                yield self.me, b"late"


class DepartsTwice(FaultyMembership):
    """As a node would that is lost behind it."""

    def drained(self, records: list[Any]) -> Iterable[Any]:
        for record in records:
            yield record
            if is_departure_of(record, self.me):
                yield replace(record, left=(MemberChange(self.me, Reason.NODEDOWN),))
