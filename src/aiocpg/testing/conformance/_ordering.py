"""Promises 4 and 5: one order, and no message inside a ring change."""

from __future__ import annotations

import itertools
from functools import partial

import anyio

from aiocpg import ConfigurationChange, RingChange

from ._call import Call
from ._member import Member
from ._reading import (
    behind_join_of,
    first_difference,
    own_departure,
    payloads,
    ring_changes,
    short,
    without_rings,
)
from ._room import Room

# -- 4. One order


async def order_is_the_same_for_all(room: Room) -> None:
    """Messages of three, with one of them coming and going in the middle: the changes stand at the same places too."""
    engines = [await room.open() for _ in range(3)]
    first, second = [await room.join(engine) for engine in engines[:2]]
    talks = [room.start("sending", partial(_talk_on, room, member)) for member in (first, second)]
    guest = await room.join(engines[2])
    talks.append(room.start("sending", partial(_talk_on, room, guest)))
    for other in (first, second):
        await room.until(partial(_has_heard, guest, other, 20), f"{guest.me} to hear {other.me} talk")
    await _end(room, talks.pop())
    await room.leave(guest)
    for talk in talks:
        await _end(room, talk)
    for member in (first, second):
        await room.send(member, b"end of %d:%d" % member.me)
    for member in (first, second):
        await room.heard(b"end of %d:%d" % member.me, first, second)
        await room.until(partial(own_departure, member.records, guest.me), "the departure of another member")
    _compare(room, first, second)
    _compare_stay(room, first, guest)


async def _talk_on(room: Room, member: Member) -> None:
    for number in itertools.count():
        await room.send(member, b"%d:%d says %d" % (*member.me, number))
        await anyio.sleep(0.001)


def _has_heard(member: Member, other: Member, count: int) -> bool:
    return len(payloads(member.records, other.me)) >= count


async def _end(room: Room, talk: Call[None]) -> None:
    talk.cancel()
    await room.ended(talk)
    room.expect(talk.was_cancelled, str(talk))


def _compare(room: Room, first: Member, second: Member) -> None:
    here = without_rings(behind_join_of(first.records, second.me))
    there = without_rings(behind_join_of(second.records, second.me))
    difference = first_difference(here, there)
    room.expect(not difference, f"two members of one ring, from the join of the second: {difference}")


def _compare_stay(room: Room, host: Member, guest: Member) -> None:
    """The guest has, between its join and its departure, what somebody has who was there all along."""
    stays = []
    for member in (host, guest):
        end = own_departure(member.records, guest.me) or 0
        stays.append(without_rings(behind_join_of(member.records[: end + 1], guest.me)))
    difference = first_difference(*stays)
    room.expect(not difference, f"a member that came and went, and one that stayed: {difference}")


async def senders_keep_their_order(room: Room) -> None:
    """Each message comes once, whole, and in the order of its sender, sent singly or in batches."""
    members = [await room.join(await room.open()) for _ in range(2)]
    await room.until(lambda: len(_newest_members(members[0])) == 2, "the join of another member")
    sent: dict[Member, list[bytes]] = {member: [] for member in members}
    for start in range(0, 200, 20):
        for member in members:
            batch = [b"%d:%d says %d" % (*member.me, number) for number in range(start, start + 20)]
            await room.send_many(member, batch[1:15])
            for data in batch[15:]:
                await room.send(member, data)
            sent[member] += batch[1:]
    for sender, everything in sent.items():
        await room.heard(everything[-1], *members)
        for receiver in members:
            _compare_payloads(room, everything, payloads(receiver.records, sender.me))


def _compare_payloads(room: Room, sent: list[bytes], came: list[bytes]) -> None:
    for place, (one, other) in enumerate(zip(sent, came, strict=False)):
        room.expect(one == other, f"message {place} of a sender was sent as {one[:40]!r} and came as {other[:40]!r}")
    room.expect(len(sent) == len(came), f"of {len(sent)} messages of a sender {len(came)} came")


def _newest_members(member: Member) -> tuple[object, ...]:
    changes = [record for record in member.records if isinstance(record, ConfigurationChange)]
    return changes[-1].members if changes else ()


# -- 5. Ring changes


async def no_message_falls_inside_a_ring_change(room: Room) -> None:
    """Neither where members go nor where they come back, while everybody sends."""
    engines = [await room.open(), await room.open()]
    members = [await room.join(engine) for engine in engines]
    await room.until(lambda: len(_newest_members(members[0])) == 2, "the join of another member")
    talks = [room.start("sending", partial(_talk_on, room, member)) for member in members]
    async with room.cut(engines[:1], engines[1:]):
        for member in members:
            await room.until(partial(_is_settled, member, 1), f"{member.me} to be alone, on a ring of its own")
    for member in members:
        await room.until(partial(_is_settled, member, 2), f"{member.me} to have the other back, on one ring")
    for talk in talks:
        await _end(room, talk)
    for member in members:
        inside = [record for change in ring_changes(member.records) for record in change if isinstance(record, tuple)]
        room.expect(not inside, f"inside ring changes {member.me} had {[short(record) for record in inside[:3]]}")


def _is_settled(member: Member, count: int) -> bool:
    """Whether it has come through so many ring changes, or more, and has as many members now as that makes."""
    changes = list(ring_changes(member.records))
    return len(changes) >= count and isinstance(changes[-1][-1], RingChange) and len(_newest_members(member)) == count
