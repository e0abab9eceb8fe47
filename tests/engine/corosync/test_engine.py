"""The engine: many handles at one daemon, bounded listings, and one loss for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from aiocpg import ConnectionClosedError, ConnectionLostError, CPGError, EngineUnavailableError, RingChange
from aiocpg._loop import current_port
from aiocpg.engine.corosync import CorosyncEngine, open_engine
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._engine import MOST_LISTINGS
from aiocpg.testing import ClusterNode, CorosyncCluster
from aiocpg.testing._syscalls import CLONE_NEWNET, unshare
from support.running import PATIENCE, stopped, turns, until

pytestmark = pytest.mark.anyio


class Listener:
    """Keeps what the engine tells."""

    def __init__(self) -> None:
        self.rings: list[RingChange] = []
        self.errors: list[CPGError] = []

    def on_ring(self, change: RingChange) -> None:
        """Keep it."""
        self.rings.append(change)

    def on_lost(self, error: CPGError) -> None:
        """Keep it."""
        self.errors.append(error)


@pytest.fixture
async def engine(node: ClusterNode) -> AsyncIterator[CorosyncEngine]:
    """An engine at the session's node."""
    engine = await open_engine(current_port(), Daemon(node.enter), None)
    engine.listen(Listener())
    yield engine
    await engine.aclose()


async def test_engine_knows_node_limit_and_daemon(engine: CorosyncEngine, node: ClusterNode) -> None:
    """Asked once, when it was opened."""
    assert (engine.nodeid, engine.max_message_size) == (1, 1_047_552)
    assert engine.daemon is not None
    assert engine.daemon.pid == node.pid


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("daemon_uid", [None, 4711])
async def test_engine_that_cannot_be_opened_leaves_nothing(node: ClusterNode, daemon_uid: int | None) -> None:
    """No daemon there, or the wrong one."""
    enter = node.enter if daemon_uid else lambda: unshare(CLONE_NEWNET)
    with pytest.raises(EngineUnavailableError):
        await open_engine(current_port(), Daemon(enter), daemon_uid)


async def test_listings_are_bounded(engine: CorosyncEngine, node: ClusterNode) -> None:
    """One that hangs for ever costs a thread; the ninth is refused, and when they end there is room again."""
    async with anyio.create_task_group() as tasks:
        with stopped(node):
            for _ in range(MOST_LISTINGS):
                tasks.start_soon(engine.groups)
            await until(lambda: len(engine._listings) == MOST_LISTINGS)
            with pytest.raises(EngineUnavailableError, match="8 listings") as caught:
                await engine.groups()
            assert not caught.value.transient
    await until(lambda: not engine._listings)
    with anyio.fail_after(PATIENCE):
        while await engine.groups() != {}:  # noqa: ASYNC110 - who was there in an earlier test may still be going
            await anyio.sleep(0.001)


async def test_cancelled_listing_counts_until_its_thread_ends(engine: CorosyncEngine, node: ClusterNode) -> None:
    """It is the thread that is scarce."""
    with stopped(node):
        with anyio.move_on_after(0.05):
            await engine.groups()
        assert len(engine._listings) == 1
    await until(lambda: not engine._listings)


async def test_rings_are_drained_though_nobody_asked(cluster: CorosyncCluster) -> None:
    """They would pile up in the daemon; a listener hears of each once."""
    engine = await open_engine(current_port(), Daemon(cluster.node(1).enter), None)
    listener = Listener()
    engine.listen(listener)
    cluster.partition({1})
    await until(lambda: listener.rings and listener.rings[-1].nodes == (1,))
    cluster.heal()
    await until(lambda: listener.rings[-1].nodes == (1, 2, 3))
    engine.ask_ring()
    await turns(20)
    assert len(listener.rings) == len(set(listener.rings))
    await engine.aclose()


async def test_loss_ends_all_that_waits(fresh_node: ClusterNode) -> None:
    """A join, a listing and a question; within moments, although their calls in C go on."""
    engine = await open_engine(current_port(), Daemon(fresh_node.enter), None)
    listener = Listener()
    engine.listen(listener)

    async def lost(call: str, *arguments: bytes) -> None:
        with pytest.raises(ConnectionLostError):
            await getattr(engine, call)(*arguments)

    async with anyio.create_task_group() as tasks:
        fresh_node.stop()
        tasks.start_soon(lost, "join", b"group")
        tasks.start_soon(lost, "members", b"group")
        tasks.start_soon(lost, "groups")
        await turns()
        fresh_node.kill()
    await until(lambda: listener.errors)
    await engine.aclose()
    assert len(listener.errors) == 1


async def test_close_ends_all_that_waits(node: ClusterNode) -> None:
    """With the error that says who closed."""
    engine = await open_engine(current_port(), Daemon(node.enter), None)
    engine.listen(Listener())

    async def closed(call: str, *arguments: bytes) -> None:
        with pytest.raises(ConnectionClosedError):
            await getattr(engine, call)(*arguments)

    with stopped(node):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(closed, "join", b"group")
            tasks.start_soon(closed, "members", b"group")
            tasks.start_soon(closed, "groups")
            await turns()
            engine.abandon()
