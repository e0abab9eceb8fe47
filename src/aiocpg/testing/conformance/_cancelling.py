"""Promise 9: whatever waits can be cancelled, ends with the loss, and leaves nothing behind."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import cast

from aiocpg import ConfigurationChange, ConnectionLostError
from aiocpg.engine._base import Engine, Membership

from ._call import Call
from ._leftovers import held
from ._member import Member, QuorumWatcher
from ._reading import names
from ._room import Room

_POINTS = (0, 1, 2, 3, 5, 8, 13)
"""Turns of the loop that a call gets before it is cancelled."""


async def waiting_calls_can_be_cancelled(room: Room) -> None:
    """While the other side stands still; when it goes on, the engine works as before."""
    engine = await room.open()
    members = [await room.join(engine, room.another_group()) for _ in range(3)]
    joining = room.another_group()
    async with room.stall(engine):
        calls = _start(room, _waiting(engine, joining, *members) | _asking(engine))
        await room.turns()
        await _cancel(room, *calls)
    for member in members:
        await room.until(partial(_sends_no_more, member), "a native send to end")
        await _closed(room, member, hard=True)
        await _come_and_go(room, engine, member.membership.name)
    await _come_and_go(room, engine, joining)
    await room.call("groups", engine.groups)


async def calls_can_be_cancelled_at_any_point(room: Room) -> None:
    """Where nothing is wrong; the name that was being joined can be joined again."""
    engine = await room.open()
    for turns in _POINTS:
        members = [await room.join(engine, room.another_group()) for _ in range(3)]
        joining = room.another_group()
        calls = _start(room, _waiting(engine, joining, *members) | _asking(engine))
        await room.turns(turns)
        await _cancel(room, *calls)
        for call in calls:
            room.expect(call.error is None, f"cancelled after {turns} turns, {call}")
        if not calls[0].was_cancelled:
            members.append(room.adopt(cast(Membership, calls[0].result())))
        for member in members:
            await _closed(room, member, hard=True)
        await _come_and_go(room, engine, joining)


async def waiting_calls_end_with_the_loss(room: Room) -> None:
    """All of them, with the error that says so; closing just ends."""
    engine = await room.open()
    members = [await room.join(engine, room.another_group()) for _ in range(3)]
    async with room.stall(engine):
        calls = _start(room, _waiting(engine, room.another_group(), *members))
        await room.turns()
        await room.lose(engine)
        await room.ended(*calls)
    for call in calls:
        if call.what == "aclose":
            room.expect(call.error is None, f"behind the loss, {call}")
        else:
            room.expect(isinstance(call.error, ConnectionLostError), f"behind the loss, {call}")


def _waiting(
    engine: Engine, joining: bytes, leaver: Member, sender: Member, closer: Member
) -> dict[str, Callable[[], Awaitable[object]]]:
    """Everything that waits where the other side has to answer."""
    return {
        "join": lambda: engine.join(joining),
        "members": lambda: engine.members(joining),
        "groups": engine.groups,
        "ping": engine.ping,
        "leave": leaver.membership.leave,
        "mcast_native": lambda: sender.membership.mcast_native(bytes(2_000_000)),
        "aclose": closer.membership.aclose,
    }


def _asking(engine: Engine) -> dict[str, Callable[[], Awaitable[object]]]:
    """What does not wait for the other side where the engine knows the answer."""
    return {"watch_quorum": lambda: engine.watch_quorum(QuorumWatcher())}


def _sends_no_more(member: Member) -> bool:
    return not member.membership.is_sending_native


def _start(room: Room, functions: Mapping[str, Callable[[], Awaitable[object]]]) -> list[Call[object]]:
    return [room.start(name, function) for name, function in functions.items()]


async def _cancel(room: Room, *calls: Call[object]) -> None:
    for call in calls:
        call.cancel()
    await room.ended(*calls)


async def _come_and_go(room: Room, engine: Engine, group: bytes) -> Member:
    member = await room.join(engine, group)
    await room.leave(member)
    await room.call("aclose", member.membership.aclose)
    return member


async def closed_group_can_be_joined_again(room: Room) -> None:
    """However it was closed; somebody else sees it go and come each time."""
    engine, watching = await room.open(), await room.open()
    watcher = await room.join(watching)
    ends: list[Callable[[Member], Awaitable[None]]] = [
        partial(_left, room),
        partial(_closed, room, hard=False),
        partial(_closed, room, hard=True),
        _abandoned,
    ]
    for times, end in enumerate(ends, 1):
        member = await room.join(engine)
        await end(member)
        await room.until(partial(_has_seen_go, watcher, member, times), f"a member to be seen going {times} times")
    again = await room.join(engine)
    await room.send(again, b"end")
    await room.heard(b"end", again, watcher)


async def _left(room: Room, member: Member) -> None:
    await room.leave(member)
    await room.call("aclose", member.membership.aclose)


async def _closed(room: Room, member: Member, *, hard: bool) -> None:
    await room.call("aclose", partial(member.membership.aclose, hard=hard))


async def _abandoned(member: Member) -> None:
    member.membership.abandon()


def _has_seen_go(watcher: Member, member: Member, times: int) -> bool:
    changes = [record for record in watcher.records if isinstance(record, ConfigurationChange)]
    return sum(names(change.left, member.me) for change in changes) == times


async def nothing_is_left_behind(room: Room) -> None:
    """No thread and no descriptor, when an engine was used in every way and closed; what comes once may stay."""
    await _use_and_close(room)
    before = held()
    await _use_and_close(room)
    more = held() - before
    # What goes a moment later is asked for again, by a wait that says what stayed.
    if more:
        await room.until(lambda: not held() - before, f"these to go: {dict(more)}")


async def _use_and_close(room: Room) -> None:
    engine = await room.open()
    members = [await room.join(engine, room.another_group()) for _ in range(4)]
    await _left(room, members[0])
    await _closed(room, members[1], hard=True)
    await _abandoned(members[2])
    calls = _start(room, _waiting(engine, room.another_group(), *members[1:4]) | _asking(engine))
    await _cancel(room, *calls)
    await room.call("groups", engine.groups)
    await room.call("watch_quorum", _asking(engine)["watch_quorum"])
    await room.call("aclose of an engine", engine.aclose)
