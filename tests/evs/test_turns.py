"""Waiting in a row: order, cancellation, and that no wake-up is lost."""

from __future__ import annotations

import anyio
import pytest

from aiocpg.evs._turns import Turns
from support.running import PATIENCE, turns

pytestmark = pytest.mark.anyio


class Room:
    """Something of which each takes one."""

    def __init__(self) -> None:
        self.free = 0
        self.turns = Turns()
        self.taken: list[int] = []

    def has_some(self) -> bool:
        """Whether there is one."""
        return self.free > 0

    async def take(self, number: int, scope: anyio.CancelScope | None = None) -> None:
        """Take one, when it is our turn."""
        with scope or anyio.CancelScope():
            await self.turns.wait(self.has_some)
            self.free -= 1
            self.taken.append(number)

    def put(self, count: int) -> None:
        """Some more."""
        self.free += count
        self.turns.wake()


async def test_calls_go_on_in_the_order_in_which_they_came() -> None:
    """As far as there is something, however much comes at once."""
    room = Room()
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(room.take, number)
                await turns()
            assert len(room.turns.waiting) == 6
            for count in (1, 3):
                room.put(count)
                await turns(20)
            assert room.taken == [0, 1, 2, 3]
            room.put(2)
    assert room.taken == list(range(6))
    assert not room.turns.waiting


@pytest.mark.parametrize("who", [0, 1, 2])
@pytest.mark.parametrize("after_waking", [False, True])
async def test_cancelled_call_takes_nothing_and_lets_the_next_on(who: int, after_waking: bool) -> None:
    """Also the one that has just been woken."""
    room = Room()
    scopes = [anyio.CancelScope() for _ in range(3)]
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(room.take, number, scopes[number])
                await turns()
            if after_waking:
                room.put(1)
            scopes[who].cancel()
            await turns(10)
            room.put(3)
    assert [number for number in room.taken if number != who] == [number for number in range(3) if number != who]
    assert room.free == (1 if after_waking else 0) + 3 - len(room.taken)
    assert who not in room.taken or after_waking
    assert not room.turns.waiting


async def test_what_the_condition_raises_goes_to_every_call() -> None:
    """It is asked anew for each."""
    room = Room()
    is_over = False

    def has_some() -> bool:
        if is_over:
            raise ValueError("over")
        return False

    async def take() -> None:
        with pytest.raises(ValueError, match="over"):
            await room.turns.wait(has_some)
        room.taken.append(0)

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(take)
            await turns()
            is_over = True
            room.turns.wake()
    assert len(room.taken) == 4


async def test_call_that_need_not_wait_does_not() -> None:
    """And waking nobody is fine."""
    room = Room()
    room.put(1)
    await room.take(7)
    room.turns.wake()
    assert room.taken == [7]
