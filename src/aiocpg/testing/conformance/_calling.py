"""Promise 1: nothing that is called on the loop ever waits. A call that does stops the loop, which ``_run`` sees."""

from __future__ import annotations

from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN

from ._member import Member
from ._reading import messages
from ._room import Room


async def calls_return_at_once(room: Room) -> None:
    """Where nothing is wrong: a send, a batch, a drain, a look, and giving up."""
    member = await room.join(await room.open())
    _call(room, member)
    member.membership.abandon()


async def calls_return_at_once_when_the_other_side_stands_still(room: Room) -> None:
    """However much is sent into it."""
    engine = await room.open()
    member = await room.join(engine)
    async with room.stall(engine):
        for _ in range(500):
            _call(room, member)
        member.membership.abandon()


async def drain_takes_a_budget_and_is_called_again(room: Room) -> None:
    """A flood comes in pieces, and the rest of it without anything new to wake it."""
    engine = await room.open()
    member = await room.join(engine)
    count, most = 4 * MAX_EVENTS_PER_DRAIN, bytes(engine.max_message_size)
    member.is_lazy = True
    await room.send_many(member, [b"x"] * count)
    for _ in range(3):
        await room.send(member, most)
    member.is_lazy = False
    await room.until(lambda: len(messages(member.records)) == count + 3, "the rest of a flood")
    for batch in member.batches:
        sizes = [len(data) for _, data in messages(batch)]
        room.expect(len(batch) <= MAX_EVENTS_PER_DRAIN, f"one drain gave {len(batch)} records")
        room.expect(sum(sizes[:-1]) <= MAX_BYTES_PER_DRAIN, f"one drain gave {sum(sizes)} bytes")


def _call(room: Room, member: Member) -> None:
    membership = member.membership
    membership.mcast(bytes(100))
    taken = membership.mcast_many([bytes(100)] * 10)
    room.expect(0 <= taken <= 10, f"mcast_many took {taken} of 10 messages")
    room.expect(not membership.is_sending_native, "is_sending_native, though nobody has asked for it")
    member.take()
