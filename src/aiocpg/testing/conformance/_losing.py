"""Promise 8: the end that nobody asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from aiocpg import ConnectionLostError
from aiocpg.engine._base import Engine

from ._member import Member, QuorumWatcher
from ._room import Room


async def loss_is_told_once(room: Room) -> None:
    """To the membership and to the connection, as a ConnectionLostError; nothing is drained behind it."""
    engine, member = await _lost(room)
    before = list(member.records)
    _use(member)
    await room.turns()
    member.take()
    for who, losses in (("membership", member.losses), ("connection", room.watcher(engine).losses)):
        room.expect(len(losses) == 1, f"the {who} was told of {len(losses)} losses: {losses}")
        room.expect(isinstance(losses[0], ConnectionLostError), f"the {who} was told of {losses[0]!r}")
    room.expect(member.records == before, f"{len(member.records) - len(before)} records were drained behind the loss")


def _use(member: Member) -> None:
    """Meet the loss once more, which is no second one."""
    for _ in range(3):
        with suppress(ConnectionLostError):
            member.membership.mcast(b"x")
        member.take()


async def every_call_raises_the_loss(room: Room) -> None:
    """The same one each time, whatever is called."""
    engine, member = await _lost(room)
    membership = member.membership
    await _expect_one_loss(
        room,
        mcast=_at_once(lambda: membership.mcast(b"x")),
        mcast_many=_at_once(lambda: membership.mcast_many([b"x", b"y"])),
        mcast_native=lambda: membership.mcast_native(b"x"),
        leave=membership.leave,
    )
    await _expect_one_loss(
        room,
        join=lambda: engine.join(room.another_group()),
        members=lambda: engine.members(room.group),
        groups=engine.groups,
        ping=engine.ping,
        watch_quorum=lambda: engine.watch_quorum(QuorumWatcher()),
    )


async def _expect_one_loss(room: Room, **calls: Callable[[], Awaitable[object]]) -> None:
    texts = set()
    for name, function in [*calls.items(), *calls.items()]:
        call = room.start(name, function)
        await room.ended(call)
        room.expect(isinstance(call.error, ConnectionLostError), f"behind the loss, {call}")
        texts.add(str(call.error))
    room.expect(len(texts) == 1, f"one loss is raised as {sorted(texts)}")


def _at_once(function: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def call() -> object:
        return function()

    return call


async def closing_is_no_loss(room: Room) -> None:
    """However it is done, once or repeatedly, nobody is told of one."""
    engine = await room.open()
    members = [await room.join(engine, room.another_group()) for _ in range(3)]
    left, hard, abandoned = (member.membership for member in members)
    await room.leave(members[0])
    for _ in range(2):
        await room.call("aclose of a membership", left.aclose)
        await room.call("a hard aclose of a membership", partial(hard.aclose, hard=True))
        abandoned.abandon()
    for _ in range(2):
        await room.call("aclose of an engine", engine.aclose)
    await room.turns()
    losses = [*room.watcher(engine).losses, *(loss for member in members for loss in member.losses)]
    room.expect(not losses, f"closing was told as a loss: {losses}")


async def _lost(room: Room) -> tuple[Engine, Member]:
    """An engine that was lost, and a membership of it that has had a message."""
    engine = await room.open()
    member = await room.join(engine)
    await room.send(member, b"before")
    await room.heard(b"before", member)
    await room.lose(engine)
    await room.until(lambda: member.losses, "on_lost of a membership")
    await room.until(lambda: room.watcher(engine).losses, "on_lost of the connection")
    return engine, member
