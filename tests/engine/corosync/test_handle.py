"""A handle in the loop: drained, sent on, asked, and lost once, told in a later turn."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import anyio
import pytest

from aiocpg import ConnectionClosedError, ConnectionLostError, CPGError
from aiocpg._loop import current_port
from aiocpg._threads import BlockingCall
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._handle import LoopHandle
from aiocpg.engine.corosync._membership import join_on_thread
from aiocpg.engine.corosync._raw import Opener, RawHandle
from aiocpg.errors import StatusError
from aiocpg.testing import ClusterNode
from support.running import stopped, turns, until

pytestmark = pytest.mark.anyio


class Owner:
    """
    Drains a handle and keeps what it is told.

    Attributes:
        records: What came.
        turns: How often there may have been something.
        writable: How often sending may be tried again.
        errors: Losses.
    """

    def __init__(self, handle: LoopHandle) -> None:
        self.handle = handle
        self.records: list[binding.Record] = []
        self.turns = 0
        self.writable = 0
        self.errors: list[CPGError] = []
        handle.listen(self)

    def on_readable(self) -> None:
        """Keep what is there."""
        self.turns += 1
        self.records += self.handle.drain()

    def on_writable(self) -> None:
        """Count."""
        self.writable += 1

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.errors.append(error)


async def opened(node: ClusterNode) -> RawHandle:
    """Open a handle on a node and ask to join."""
    opener = Opener(Daemon(node.enter))
    return await BlockingCall(current_port(), lambda: join_on_thread(opener, b"handle"), "open").wait()


@pytest.fixture
async def owner(node: ClusterNode) -> AsyncIterator[Owner]:
    """The owner of a handle that has joined a group."""
    owner = Owner(LoopHandle(await opened(node), current_port()))
    await until(lambda: owner.records)
    yield owner
    await owner.handle.aclose()
    await owner.handle.aclose()


async def test_what_is_sent_comes_back(owner: Owner) -> None:
    """One by one and many at once; the ring of the join may come between."""
    assert owner.handle.mcast(b"a")
    assert owner.handle.mcast_many([b"b", b"c"]) == 2
    await until(lambda: len(payloads(owner)) == 3)
    assert payloads(owner) == [b"a", b"b", b"c"]


def payloads(owner: Owner) -> list[bytes]:
    """Of the messages that came."""
    return [record[1] for record in owner.records if isinstance(record, tuple)]


async def test_end_of_a_congestion_is_told_when_the_descriptor_is_writable(owner: Owner, node: ClusterNode) -> None:
    """Once for each time it was met."""
    with stopped(node):
        while owner.handle.mcast(b"x"):
            pass
        assert owner.handle.mcast_many([b"x", b"x"]) == 0
        await turns(20)
        assert owner.writable == 0
    await until(lambda: owner.writable)
    assert owner.handle.mcast(b"x")


async def test_request_is_answered_while_the_loop_goes_on(owner: Owner) -> None:
    """On a thread."""
    threads: list[str] = []

    def ask(handle: binding.Handle) -> int:
        threads.append(threading.current_thread().name)
        return binding.local_get(handle)

    assert await owner.handle.request(ask, "ask") == 1
    assert threads == ["aiocpg-ask"]


async def test_request_is_repeated_while_the_answer_means_later(owner: Owner) -> None:
    """And other refusals are raised as they are."""
    answers = [Status.TRY_AGAIN, Status.TRY_AGAIN, Status.ACCESS]

    def ask(handle: binding.Handle) -> None:
        status = answers.pop(0)
        raise StatusError("ask", status, status.name)

    with pytest.raises(StatusError, match="ACCESS"):
        await owner.handle.request(ask, "ask")
    assert answers == []
    assert owner.handle.lost is None


async def test_cancelled_request_tells_when_its_thread_is_done(owner: Owner, node: ClusterNode) -> None:
    """Until then nobody else may use the handle's send side."""
    ended: list[bool] = []
    with stopped(node), anyio.move_on_after(0.05) as scope:
        await owner.handle.request(binding.local_get, "ask", ended=lambda: ended.append(True))
    assert scope.cancelled_caught
    await until(lambda: ended)


async def test_loss_met_by_a_call_is_told_in_a_later_turn(owner: Owner) -> None:
    """The caller gets it at once, the owner once, and every later call again."""
    owner.handle.lose(ConnectionLostError("gone"))
    owner.handle.lose(ConnectionLostError("late"))
    assert owner.errors == []
    for call in (lambda: owner.handle.mcast(b"x"), lambda: owner.handle.mcast_many([b"x"]), owner.handle.raise_lost):
        with pytest.raises(ConnectionLostError, match="gone"):
            call()
    with pytest.raises(ConnectionLostError, match="gone"):
        await owner.handle.request(binding.local_get, "ask")
    assert owner.handle.drain() == ()
    await until(lambda: owner.errors)
    await turns()
    assert [str(error) for error in owner.errors] == ["connection lost: gone"]


@pytest.mark.parametrize("status", [Status.LIBRARY, Status.BAD_HANDLE])
async def test_request_that_finds_the_handle_dead_is_a_loss(owner: Owner, status: Status) -> None:
    """Whichever call notices first."""

    def ask(handle: binding.Handle) -> None:
        raise StatusError("ask", status, status.name)

    with pytest.raises(ConnectionLostError):
        await owner.handle.request(ask, "ask")
    await until(lambda: owner.errors)


async def test_request_under_way_ends_with_the_loss_or_the_close(owner: Owner, node: ClusterNode) -> None:
    """Not with the call in C."""

    async def ask(error: type[CPGError]) -> None:
        with pytest.raises(error):
            await owner.handle.request(binding.local_get, "ask")

    with stopped(node):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, ConnectionClosedError)
            await turns()
            owner.handle.abandon()


async def test_fault_in_the_owner_ends_the_handle_and_not_the_loop(node: ClusterNode) -> None:
    """It says whose fault it is."""
    owner = BrokenOwner(LoopHandle(await opened(node), current_port()))
    await until(lambda: owner.errors)
    (error,) = owner.errors
    assert "fault in aiocpg itself" in str(error)
    assert isinstance(error.__cause__, KeyError)
    await owner.handle.aclose()


class BrokenOwner(Owner):
    """An owner with a mistake in it."""

    def on_readable(self) -> None:
        """Raise."""
        raise KeyError("broken")


async def test_death_of_the_daemon_is_told_by_the_descriptor(fresh_node: ClusterNode) -> None:
    """Also to a handle that nobody asks anything; then it is out of the loop."""
    owner = Owner(LoopHandle(await opened(fresh_node), current_port()))
    await until(lambda: owner.records)
    fresh_node.kill()
    await until(lambda: owner.errors)
    with pytest.raises(ConnectionLostError):
        owner.handle.raise_if_hung_up()
    seen = owner.turns
    await turns(50)
    assert owner.turns == seen
    await owner.handle.aclose()
    assert len(owner.errors) == 1


async def test_closed_handle_is_silent(owner: Owner) -> None:
    """Nothing is drained and no loss is told."""
    await owner.handle.aclose()
    owner.handle.lose(ConnectionLostError("late"))
    owner.handle.abandon()
    await turns()
    assert owner.errors == []
    assert owner.handle.drain() == ()
