"""Promises 2 and 3: how a membership begins."""

from __future__ import annotations

from functools import partial

from aiocpg import ConfigurationChange, MemberChange, Reason, RingChange

from ._member import Member
from ._reading import behind_join_of, first_difference, messages, own_join, rings
from ._room import Room

# -- 2. The own join


async def own_join_is_the_first_change_that_counts(room: Room) -> None:
    """It lists us as joined and everybody as members; no message stands before it, not even one sent at once."""
    first = await room.join(await room.open())
    engine = await room.open()
    second = room.adopt(await room.call("join", lambda: engine.join(room.group)))
    await room.send(second, b"early")
    await room.send(first, b"hello")
    await room.joined(second)
    await room.heard(b"early", first, second)
    await room.heard(b"hello", first)
    place = own_join(second.records, second.me) or 0
    change = second.records[place]
    everybody = tuple(sorted((first.me, second.me)))
    whole = ConfigurationChange(room.group, everybody, (MemberChange(second.me, Reason.JOIN),), ())
    room.expect(change == whole, f"the first change is {change}, not {whole}")
    early = messages(second.records[:place])
    room.expect(not early, f"{len(early)} messages came before the own join")


async def nothing_from_before_the_join_comes(room: Room) -> None:
    """Who comes into the middle of a stream has it from its join on, as those who were there have it."""
    first = await room.join(await room.open())
    engine = await room.open()
    await room.send_many(first, [b"before %d" % number for number in range(50)])
    joining = room.start("join", lambda: engine.join(room.group))
    sent = 0
    while not joining.has_ended and sent < 1000:
        await room.send(first, b"during %d" % sent)
        sent += 1
        await room.turns(1)
    await room.ended(joining)
    second = room.adopt(joining.result())
    await room.joined(second)
    await room.send(first, b"after")
    await room.heard(b"after", first, second)
    wanted = messages(behind_join_of(first.records, second.me))
    difference = first_difference(messages(second.records), wanted)
    room.expect(not difference, f"the newcomer has other messages than those behind its join: {difference}")


async def own_join_shows_in_the_snapshots(room: Room) -> None:
    """They are ahead of what was drained, never behind it."""
    engines = [await room.open(), await room.open()]
    everybody = tuple(sorted([(await room.join(engine)).me for engine in engines]))
    members = await room.call("members", lambda: engines[1].members(room.group))
    room.expect(members == everybody, f"members() says {members}, not {everybody}")
    groups = await room.call("groups", engines[1].groups)
    room.expect(groups.get(room.group) == everybody, f"groups() says {groups.get(room.group)}, not {everybody}")
    nobody = await room.call("members", lambda: engines[0].members(room.another_group()))
    room.expect(nobody == (), f"members() of a group nobody is in says {nobody}")


# -- 3. The ring


async def ring_comes_before_the_first_message(room: Room) -> None:
    """One ring for those who talk to each other, with their nodes in it."""
    engines = [await room.open(), await room.open()]
    members: list[Member] = []
    for engine in engines:
        member = room.adopt(await room.call("join", partial(engine.join, room.group)))
        await room.send(member, b"%d" % len(members))
        await room.heard(b"%d" % len(members), member)
        members.append(member)
    found = [_rings_before_the_first_message(member) for member in members]
    for member, before in zip(members, found, strict=True):
        room.expect(before, f"{member.me} had a message before any ring")
    room.expect(found[0][-1] == found[1][-1], f"two members of one ring are told {found[0][-1]} and {found[1][-1]}")
    missing = {engine.nodeid for engine in engines} - set(found[0][-1].nodes)
    room.expect(not missing, f"nodes {sorted(missing)} are not in the ring: {found[0][-1]}")


def _rings_before_the_first_message(member: Member) -> list[RingChange]:
    place = next(place for place, record in enumerate(member.records) if isinstance(record, tuple))
    return rings(member.records[:place])


async def connection_is_told_the_same_ring(room: Room) -> None:
    """When it asks, and once."""
    engine = await room.open()
    watcher = room.watcher(engine)
    engine.ask_ring()
    engine.ask_ring()
    await room.until(lambda: watcher.rings, "the ring that was asked for")
    member = await room.join(engine)
    await room.until(lambda: rings(member.records), "the ring of a membership")
    await room.turns()
    room.expect(len(watcher.rings) == 1, f"one ring was told as {watcher.rings}")
    theirs = rings(member.records)[-1]
    room.expect(watcher.rings == [theirs], f"the connection is told {watcher.rings[0]}, its membership {theirs}")
