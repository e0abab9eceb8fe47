"""
Promise 10: what is refused, and what is not.

Names and sizes are looked at above the engine, which is given names of 1 to 127 bytes and messages of up to
``max_message_size``. What is left to refuse is a group that this process holds already.
"""

from __future__ import annotations

from functools import partial

from aiocpg import AlreadyJoinedError

from ._reading import payloads, without_rings
from ._room import Room


async def second_join_is_refused(room: Room) -> None:
    """With its own error, before anything is sent: nobody sees anything of it, and the first one goes on."""
    engine, watching = await room.open(), await room.open()
    holder = await room.join(engine)
    watcher = await room.join(watching)
    await room.send(holder, b"begin")
    await room.heard(b"begin", holder, watcher)
    for _ in range(2):
        call = room.start("a second join", lambda: engine.join(room.group))
        await room.ended(call)
        room.expect(type(call.error) is AlreadyJoinedError, f"{call}, which should be an AlreadyJoinedError")
    await room.send(holder, b"end")
    await room.heard(b"end", holder, watcher)
    for member in (holder, watcher):
        came = without_rings(member.records)
        begin, end = (came.index((holder.me, data)) for data in (b"begin", b"end"))
        room.expect(end == begin + 1, f"a refused join was seen by {member.me}: {came[begin + 1 : end]}")


async def everything_else_is_taken(room: Room) -> None:
    """The smallest and the largest message; the shortest and the longest name, no text, and two that a NUL parts."""
    engine = await room.open()
    name = room.group
    for group in (b"\xff", name.ljust(127, b"\xfe"), name, name + b"\0"):
        member = await room.join(engine, group)
        room.expect(member.membership.name == group, f"the group {group!r} is called {member.membership.name!r}")
        members = await room.call("members", partial(engine.members, group))
        room.expect(members == (member.me,), f"members({group!r}) says {members}")
    sent = [b"", b"\0", bytes(engine.max_message_size), b"end"]
    for data in sent:
        await room.send(member, data)
    await room.heard(b"end", member)
    sizes = [len(data) for data in payloads(member.records, member.me)]
    room.expect(sizes == [len(data) for data in sent], f"messages of 0, 1, {len(sent[2])} and 3 bytes came as {sizes}")
