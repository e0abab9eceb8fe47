"""Watching the newest of something: what is handed out, what is left out, and how it ends."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import BusyError, ConnectionLostError, QuorumState, QuorumUnknown, QuorumWatch
from aiocpg._loop import current_port
from aiocpg._quorum_watch import Attention
from support.running import turns

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (QuorumUnknown(f"state {number}") for number in (1, 2, 3))


class Source:
    """
    Something with a newest state, and one who watches it.

    Attributes:
        attention: What that one has seen.
        watch: What it holds.
    """

    def __init__(self) -> None:
        self._state: QuorumState = ONE
        self.attention = Attention(lambda: self._state, "here")
        self.watch = QuorumWatch(self.attention, current_port().signal(), lambda: None)

    def tell(self, state: QuorumState) -> None:
        """This is the state now."""
        self._state = state
        self.attention.wake()

    async def read(self, into: list[QuorumState]) -> None:
        """Read to the end."""
        async for state in self.watch:
            into.append(state)


async def test_first_is_the_present_state_then_each_change() -> None:
    """Also to a reader that waits."""
    source, read = Source(), list[QuorumState]()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.read, read)
        for state in (TWO, THREE):
            await turns()
            source.tell(state)
        await turns()
        await source.watch.aclose()
    assert read == [ONE, TWO, THREE]


async def test_only_the_newest_of_several_is_handed_out() -> None:
    """A reader that was busy is never behind."""
    source = Source()
    source.tell(TWO)
    source.tell(THREE)
    assert await anext(source.watch) == THREE
    assert source.watch.state == THREE


async def test_state_that_is_back_is_not_handed_out_again() -> None:
    """It was away and is as it was: a reader who has seen nothing of it acts as before."""
    source = Source()
    assert await anext(source.watch) == ONE
    source.tell(TWO)
    source.tell(ONE)
    with anyio.move_on_after(0.01) as waiting:
        await anext(source.watch)
    assert waiting.cancelled_caught
    source.tell(TWO)
    assert await anext(source.watch) == TWO


async def test_cancelled_read_loses_nothing() -> None:
    """What comes after it goes to the next read."""
    source = Source()
    await anext(source.watch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.read, [])
        await turns()
        tasks.cancel_scope.cancel()
    source.tell(TWO)
    assert await anext(source.watch) == TWO


async def test_second_reader_is_refused() -> None:
    """Each takes a watch of its own."""
    source = Source()
    await anext(source.watch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(source.read, [])
        await turns()
        with pytest.raises(BusyError, match=r"quorum\(\)"):
            await anext(source.watch)
        await source.watch.aclose()


async def test_loss_is_raised_by_every_read_and_the_state_is_not_known() -> None:
    """Each time anew, with the reason in the state."""
    source = Source()
    source.attention.end(ConnectionLostError("gone"))
    source.attention.end()
    for _ in range(2):
        with pytest.raises(ConnectionLostError, match="gone"):
            await anext(source.watch)
    assert source.watch.state == QuorumUnknown("gone")


async def test_closed_watch_has_an_end_and_knows_nothing() -> None:
    """Whatever the state was; closing may be repeated."""
    source = Source()
    async with source.watch as watch:
        assert repr(watch) == f"<QuorumWatch: {ONE}>"
    await watch.aclose()
    assert [state async for state in watch] == []
    assert watch.state == QuorumUnknown("closed by this side")
