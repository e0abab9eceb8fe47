"""Promises 6 and 7: own messages, and the way out."""

from __future__ import annotations

from functools import partial

from aiocpg import Address, ConfigurationChange, MemberChange, Reason

from ._member import Member
from ._reading import Record, behind_join_of, first_difference, is_about, own_departure, payloads, short, without_rings
from ._room import Room

_MOST_SENDS = 100_000

# -- 6. Own messages


async def own_messages_come_back(room: Room) -> None:
    """Once each and whole, whatever their size, also where nobody else is."""
    member = await room.join(await room.open())
    sent = [bytes([number]) * size for number, size in enumerate([0, 1, 7, 4096, 65_537, 300_000] * 3)]
    for data in sent:
        await room.send(member, data)
    await room.send(member, b"end")
    await room.heard(b"end", member)
    _expect_sent(room, member, [*sent, b"end"])


async def taken_messages_come_before_the_departure(room: Room) -> None:
    """All that was taken, when the leave is asked for in the next moment."""
    member = await room.join(await room.open())
    sent = [b"%d" % number for number in range(300)]
    await room.send_many(member, sent)
    await room.leave(member)
    _expect_sent(room, member, sent)


def _expect_sent(room: Room, member: Member, sent: list[bytes]) -> None:
    """In a world where nothing goes wrong nothing is lost either."""
    end = own_departure(member.records, member.me)
    came = payloads(member.records[:end], member.me)
    until = "" if end is None else " before the own departure"
    room.expect(len(came) == len(sent), f"of {len(sent)} own messages {len(came)} came{until}")
    room.expect(came == sent, f"own messages came changed, or in another order{until}")


async def refused_messages_do_not_come(room: Room) -> None:
    """And those do that were taken in the congestion before, and behind it."""
    engine = await room.open()
    member = await room.join(engine)
    async with room.congest(engine):
        sent = _send_until_refused(room, member)
        batch = [b"batch %d" % number for number in range(100)]
        sent += batch[: member.membership.mcast_many(batch)]
    await room.send(member, b"end")
    await room.heard(b"end", member)
    _expect_sent(room, member, [*sent, b"end"])


def _send_until_refused(room: Room, member: Member) -> list[bytes]:
    sent: list[bytes] = []
    while member.membership.mcast(b"%-100d" % len(sent)):
        sent.append(b"%-100d" % len(sent))
        room.expect(len(sent) < _MOST_SENDS, f"mcast took {len(sent)} messages in a congested world")
    return sent


# -- 7. The own departure


async def departure_is_a_leave_for_all(room: Room) -> None:
    """The same change for who goes and who stays, at the same place, in the middle of messages."""
    stayer, leaver = [await room.join(await room.open()) for _ in range(2)]
    await room.send_many(leaver, [b"%d" % number for number in range(20)])
    await room.send_many(stayer, [b"%d" % number for number in range(20)] + [b"before"])
    await room.heard(b"before", leaver)
    leaving = room.start("leave", partial(room.leave, leaver))
    while not leaving.has_ended:
        await room.send(stayer, b"meanwhile")
        await room.turns(1)
    leaving.result()
    await room.until(partial(own_departure, stayer.records, leaver.me), "the departure of another member")
    left = ConfigurationChange(room.group, (stayer.me,), (), (MemberChange(leaver.me, Reason.LEAVE),))
    here, there = (_until_departure(member, leaver.me) for member in (leaver, stayer))
    room.expect(here[-1] == left, f"who left sees {short(here[-1])}, not {left}")
    difference = first_difference(here, there)
    room.expect(not difference, f"who left and who stayed, up to the departure: {difference}")


def _until_departure(member: Member, leaver: Address) -> list[Record]:
    end = own_departure(member.records, leaver) or 0
    return [*without_rings(behind_join_of(member.records[: end + 1], leaver))]


async def nothing_counts_behind_the_departure(room: Room) -> None:
    """No message of ours and no change that names us, while the others go on."""
    stayer, leaver = [await room.join(await room.open()) for _ in range(2)]
    await room.send_many(leaver, [b"%d" % number for number in range(50)])
    await room.leave(leaver)
    await room.send_many(stayer, [b"%d" % number for number in range(50)])
    await room.send(stayer, b"end")
    await room.heard(b"end", stayer)
    await room.turns()
    leaver.take()
    end = own_departure(leaver.records, leaver.me) or 0
    late = [short(record) for record in leaver.records[end + 1 :] if is_about(record, leaver.me)]
    room.expect(not late, f"behind the own departure came {late[:3]}")
    room.expect(not leaver.losses, f"a membership that was left is told of a loss: {leaver.losses}")
