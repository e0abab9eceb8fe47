"""The engine's libquorum handle: opened on a thread, lost alone or with the daemon, given back in any case."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest

from aiocpg import ConnectionClosedError, ConnectionLostError, CPGError, QuorumState, QuorumUnknown, RingId
from aiocpg._loop import current_port
from aiocpg._state.quorum import Quorum
from aiocpg.engine._libcpg.quorum import Told
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._engine import CorosyncEngine, open_engine
from aiocpg.engine.corosync._quorum import NO_PROVIDER, state_of
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.running import stopped, turns, until

pytestmark = pytest.mark.anyio


class Hearing:
    """Who hears of the quorum, and of the connection."""

    def __init__(self) -> None:
        self.states: list[QuorumState] = []
        self.losses: list[CPGError] = []
        self.ends: list[CPGError] = []

    def on_quorum(self, state: QuorumState) -> None:
        """Write it down."""
        self.states.append(state)

    def on_quorum_lost(self, error: CPGError) -> None:
        """Write it down."""
        self.losses.append(error)

    def on_ring(self, change: object) -> None:
        """Not looked at."""

    def on_lost(self, error: CPGError) -> None:
        """Write it down."""
        self.ends.append(error)


async def engine_on(node: ClusterNode) -> CorosyncEngine:
    """Connect."""
    return await open_engine(current_port(), Daemon(node.enter), None)


@pytest.fixture
async def engine(node: ClusterNode) -> AsyncIterator[CorosyncEngine]:
    """A connection to the session's node."""
    engine = await engine_on(node)
    yield engine
    await engine.aclose()


@pytest.fixture(scope="module")
def without_provider() -> Iterator[ClusterNode]:
    """A node whose configuration names no provider."""
    with CorosyncCluster(nodes=1, quorum=False) as cluster:
        yield cluster.node(1)


def test_notification_without_nodes_decides_nothing() -> None:
    """It comes from a provider that has not seen a ring, or from none."""
    assert isinstance(state_of(None), QuorumUnknown)
    assert isinstance(state_of(Told(is_quorate=True, ring_id=RingId(0, 0), nodes=())), QuorumUnknown)
    told = Told(is_quorate=False, ring_id=RingId(1, 4), nodes=(1,))
    assert state_of(told) == Quorum(is_quorate=False, nodes=(1,), ring_id=RingId(1, 4), provider="corosync")


@pytest.mark.usefixtures("no_leaks")
async def test_present_state_is_told_before_the_call_returns(node: ClusterNode) -> None:
    """Once, and everything is given back with the engine."""
    engine, hearing = await engine_on(node), Hearing()
    engine.listen(hearing)
    await engine.watch_quorum(hearing)
    (state,) = set(hearing.states)
    assert state.is_quorate
    await engine.aclose()
    await turns()
    assert (hearing.losses, hearing.ends) == ([], [])


async def test_no_provider_is_told_and_costs_no_handle(without_provider: ClusterNode) -> None:
    """libquorum would say "quorate"."""
    engine, hearing = await engine_on(without_provider), Hearing()
    before = len(without_provider.shm_files())
    await engine.watch_quorum(hearing)
    assert hearing.states == [NO_PROVIDER]
    await until(lambda: len(without_provider.shm_files()) <= before)
    await engine.aclose()


async def test_handle_that_is_lost_alone_is_told_and_can_be_had_again(engine: CorosyncEngine) -> None:
    """The connection lives on."""
    hearing = Hearing()
    engine.listen(hearing)
    await engine.watch_quorum(hearing)
    assert engine._quorum is not None
    engine._quorum._raw.shutdown()
    await until(lambda: hearing.losses)
    await engine.watch_quorum(hearing)
    assert hearing.states[-1].is_quorate
    assert isinstance(hearing.losses[0], ConnectionLostError)
    assert (len(hearing.losses), hearing.ends) == (1, [])


@pytest.mark.usefixtures("no_leaks")
async def test_call_under_way_is_told_of_the_close(node: ClusterNode) -> None:
    """It waits for a daemon that stands still, and is not left alone with it."""
    engine = await engine_on(node)

    async def watch() -> None:
        with pytest.raises(ConnectionClosedError):
            await engine.watch_quorum(Hearing())

    with stopped(node):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watch)
            await until(lambda: engine._opening)
            engine.abandon()


@pytest.mark.usefixtures("no_leaks")
async def test_call_that_was_cancelled_leaves_nothing(node: ClusterNode) -> None:
    """The handle that comes after all is given back."""
    engine = await engine_on(node)
    with stopped(node), anyio.move_on_after(0.05) as waiting:
        await engine.watch_quorum(Hearing())
    assert waiting.cancelled_caught
    await engine.aclose()


async def test_another_process_than_the_daemon_is_not_believed(engine: CorosyncEngine) -> None:
    """It was started anew meanwhile, or somebody else listens on the socket."""
    assert engine.daemon is not None
    hearing = Hearing()
    engine.daemon = engine.daemon._replace(pid=1)
    with pytest.raises(ConnectionLostError, match="another process"):
        await engine.watch_quorum(hearing)
    assert (hearing.states, hearing.losses) == ([], [])


@pytest.mark.usefixtures("no_leaks")
async def test_answer_that_meets_the_close_is_given_back(node: ClusterNode) -> None:
    """Both came in one turn of the loop; nothing is told, and nothing is kept."""
    engine, hearing = await engine_on(node), Hearing()
    answered = engine._on_thread

    async def answered_and_closed(*args: Any, **options: Any) -> Any:
        raw = await answered(*args, **options)
        engine.abandon()
        return raw

    engine._on_thread = answered_and_closed  # type: ignore[method-assign] # the moment cannot be had otherwise
    with pytest.raises(ConnectionClosedError):
        await engine.watch_quorum(hearing)
    assert hearing.states == []
