"""``Connection.quorum()``: who has the majority, on real nodes and imagined ones, and what is said when none knows."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

import aiocpg
from aiocpg import (
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    EngineUnavailableError,
    NoQuorumProvider,
    Quorum,
    QuorumState,
    QuorumUnknown,
    QuorumWatch,
    Reconnect,
    UsageError,
)
from aiocpg.testing import ClusterNode, CorosyncCluster, MemoryCluster, MemoryNode
from support.loops import Backend
from support.running import PATIENCE, cancelling, in_thread, run_in, until

pytestmark = pytest.mark.anyio

QUICK = Reconnect(first_pause=0.01, longest_pause=0.05)


@pytest.fixture
def memory() -> Iterator[MemoryCluster]:
    """Three nodes without daemons."""
    with MemoryCluster() as cluster:
        yield cluster


@pytest.fixture
async def minority(memory: MemoryCluster) -> AsyncIterator[Connection]:
    """A connection to the node that the tests cut off."""
    async with memory.node(1).connect(reconnect=QUICK, stall_after=0.05) as cpg:
        yield cpg


@pytest.fixture(scope="module")
def mortal_cluster() -> Iterator[CorosyncCluster]:
    """A node whose daemon the tests may kill."""
    with CorosyncCluster(nodes=1, token=10_000) as cluster:
        yield cluster


@pytest.fixture
async def mortal(mortal_cluster: CorosyncCluster) -> ClusterNode:
    """A node whose daemon runs when a test begins."""
    await mortal_cluster.until_restored()
    return mortal_cluster.node(1)


async def reached(quorum: QuorumWatch, nodes: tuple[int, ...]) -> Quorum:
    """Read on until the state is of a ring of these nodes."""
    with anyio.fail_after(PATIENCE):
        async for state in quorum:
            if isinstance(state, Quorum) and state.nodes == nodes:
                return state
    raise AssertionError("it ended")


async def unknown(quorum: QuorumWatch) -> QuorumUnknown:
    """Read on until the state is not known."""
    with anyio.fail_after(PATIENCE):
        async for state in quorum:
            if isinstance(state, QuorumUnknown):
                return state
    raise AssertionError("it ended")


# -- Who has the majority


async def test_minority_of_a_real_cluster_knows_it_and_the_majority_goes_on(cluster: CorosyncCluster) -> None:
    """One node of three is cut off; the rings named are those that groups see, and it heals."""
    await cluster.until_restored()
    async with (
        cluster.node(1).connect() as one,
        cluster.node(3).connect() as three,
        one.join("group") as group,
        three.join("group"),
        one.quorum() as cut_off,
        three.quorum() as others,
    ):
        assert await reached(cut_off, (1, 2, 3)) == await reached(others, (1, 2, 3)) == cut_off.state
        assert cut_off.state.is_quorate
        cluster.partition({1}, {2, 3})
        alone, together = await reached(cut_off, (1,)), await reached(others, (2, 3))
        assert (alone.is_quorate, together.is_quorate) == (False, True)
        assert (alone.provider, cut_off.state) == ("corosync", alone)
        await until(lambda: group.view.ring_id == alone.ring_id)
        cluster.heal()
        assert await reached(cut_off, (1, 2, 3)) == await reached(others, (1, 2, 3))
        assert cut_off.state.is_quorate


async def test_minority_of_an_imagined_cluster_knows_it(memory: MemoryCluster, minority: Connection) -> None:
    """As on a real one; nodes that do not run count as well."""
    async with minority.quorum() as quorum, memory.node(2).connect() as other, other.quorum() as others:
        assert (await reached(quorum, (1, 2, 3))).is_quorate
        memory.partition({1}, {2, 3})
        alone = await reached(quorum, (1,))
        assert alone == Quorum(False, (1,), alone.ring_id, "memory")
        assert (await reached(others, (2, 3))).is_quorate
        memory.heal()
        memory.node(3).kill()
        assert (await reached(quorum, (1, 2))).is_quorate
        memory.node(2).kill()
        assert not (await reached(quorum, (1,))).is_quorate


async def test_world_that_nobody_controls_is_quorate() -> None:
    """None of its nodes can be cut off."""
    async with aiocpg.connect("memory://uncontrolled") as cpg, cpg.quorum() as quorum:
        assert (await reached(quorum, (1,))).is_quorate
        async with aiocpg.connect("memory://uncontrolled?node=2"):
            assert (await reached(quorum, (1, 2))).is_quorate


@pytest.mark.usefixtures("local_directory")
async def test_without_a_provider_nobody_is_quorate() -> None:
    """And the state says what to do; it is handed out once, and nothing follows."""
    with MemoryCluster(quorum=False) as memory, CorosyncCluster(nodes=1, quorum=False) as real:
        for opening in (memory.node(1).connect(), real.node(1).connect(), aiocpg.connect("local://quorum")):
            async with opening as cpg, cpg.quorum() as quorum:
                state = await anext(quorum)
                assert isinstance(state, NoQuorumProvider)
                assert not quorum.state.is_quorate
                assert state.reason
                assert state.cure
                with anyio.move_on_after(0.01) as waiting:
                    await anext(quorum)
                assert waiting.cancelled_caught


# -- Watching


async def test_each_watch_is_its_own(memory: MemoryCluster, minority: Connection) -> None:
    """One that was opened later begins with the state then; one that is closed leaves the others alone."""
    async with minority.quorum() as first:
        await reached(first, (1, 2, 3))
        memory.partition({1})
        await reached(first, (1,))
        async with minority.quorum() as second:
            assert await anext(second) == first.state
        memory.heal()
        assert (await reached(first, (1, 2, 3))).is_quorate


async def test_many_ask_the_daemon_once(node: ClusterNode) -> None:
    """A handle is shared, and kept for the next one who asks."""
    async with node.connect() as cpg:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(lambda: in_context(cpg))
        async with cpg.quorum() as quorum:
            assert quorum.state.is_quorate
        # Those of earlier tests may still be on their way out.
        await until(lambda: len([name for name in node.shm_files() if name.endswith("/qb-event-quorum-data")]) == 1)


async def in_context(cpg: Connection) -> None:
    """Ask for the state now."""
    async with cpg.quorum() as quorum:
        assert quorum.state.is_quorate


@pytest.mark.parametrize("moment", [1, 2])
async def test_watch_that_is_cancelled_leaves_nothing_behind(node: ClusterNode, moment: int) -> None:
    """While it is opened, which waits for the daemon, and while it is read: who opens the next one has the state."""

    async def watch(cpg: Connection) -> None:
        async with cpg.quorum() as quorum:
            async for _ in quorum:
                pass

    async with node.connect() as cpg:
        with anyio.CancelScope() as scope:
            await cancelling(watch(cpg), scope, moment)
        assert scope.cancelled_caught
        assert cpg._session.quorum.watches == []
        with anyio.fail_after(PATIENCE):
            async with cpg.quorum() as quorum:
                assert quorum.state.is_quorate
        await until(lambda: sum(name.endswith("/qb-event-quorum-data") for name in node.shm_files()) == 1)


async def test_closed_connection_ends_every_watch(node: ClusterNode) -> None:
    """Quietly, as with streams; nothing new is opened, and nothing is known."""
    cpg = await node.connect()
    quorum = await cpg.quorum()
    await anext(quorum)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends_quietly, quorum)
        await cpg.aclose()
    assert not quorum.state.is_quorate
    with pytest.raises(ConnectionClosedError):
        await cpg.quorum()


async def ends_quietly(quorum: QuorumWatch) -> None:
    """Read to the end."""
    async for _ in quorum:
        pass


async def test_use_in_another_thread_is_refused(minority: Connection) -> None:
    """Looking at the state included: it belongs to the loop that changes it."""
    async with minority.quorum() as quorum:
        with pytest.raises(UsageError, match="another thread"):
            await in_thread(lambda: quorum.state)


def test_watch_that_was_left_open_is_told_with_its_place(anyio_backend: Backend, memory: MemoryCluster) -> None:
    """When the loop ends, as with streams."""

    async def main() -> None:
        kept.append(await memory.node(1).connect())
        kept.append(await kept[0].quorum())

    kept: list[Connection | QuorumWatch] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_in(anyio_backend, main)  # type: ignore[arg-type] # a function without a result
    texts = [str(one.message) for one in caught if str(one.message).startswith("quorum()")]
    lines = Path(__file__).read_text().splitlines()
    place = next(number for number, line in enumerate(lines, 1) if ".append(await kept[0].quorum())" in line)
    assert texts == [f"quorum() was still open when its event loop ended; opened at {__file__}:{place}"]


# -- Losses


@pytest.mark.usefixtures("no_leaks")
async def test_watch_ends_with_the_daemon(mortal: ClusterNode) -> None:
    """What was quorate is not known any more, and reading raises the loss, each time."""
    async with mortal.connect() as cpg, cpg.quorum() as quorum:
        assert (await anext(quorum)).is_quorate
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(raises_the_loss, quorum)
            mortal.kill()
        await raises_the_loss(quorum)
        assert isinstance(quorum.state, QuorumUnknown)
        with pytest.raises(ConnectionLostError):
            await cpg.quorum()


async def raises_the_loss(quorum: QuorumWatch) -> None:
    """Read until it is lost."""
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectionLostError):
        await ends_quietly(quorum)


@pytest.mark.usefixtures("no_leaks")
async def test_watch_outlives_the_daemon_with_reconnect(mortal: ClusterNode) -> None:
    """The gap is a state, and what the next daemon says follows, in the same watch."""
    async with mortal.connect(reconnect=QUICK) as cpg, cpg.quorum() as quorum:
        before = await reached(quorum, (1,))
        mortal.kill()
        await unknown(quorum)
        await mortal.until_gone()
        mortal.start()
        after = await reached(quorum, (1,))
        assert after.is_quorate
        assert after.ring_id > before.ring_id
        assert quorum.state == after


async def test_daemon_that_comes_back_without_a_provider_is_noticed() -> None:
    """Each daemon is asked anew."""
    memory = MemoryCluster(name="changed")
    with memory:
        cpg = await memory.node(1).connect(reconnect=QUICK)
        quorum = await cpg.quorum()
        assert (await anext(quorum)).is_quorate
    await unknown(quorum)
    with MemoryCluster(name="changed", quorum=False):
        await until(lambda: isinstance(quorum.state, NoQuorumProvider))
        await cpg.aclose()


async def test_watch_ends_where_there_is_no_way_back(memory: MemoryCluster) -> None:
    """With the error that every stream ends with then, which is no loss to go on behind."""
    policy = Reconnect(first_pause=0.01, longest_pause=0.01, give_up_after=0.05)
    async with memory.node(1).connect(reconnect=policy) as cpg, cpg.quorum() as quorum:
        await anext(quorum)
        memory.node(1).kill()
        with anyio.fail_after(PATIENCE), pytest.raises(EngineUnavailableError):
            await ends_quietly(quorum)


async def test_gap_is_seen_by_a_watch_that_waits_and_by_one_that_does_not(
    memory: MemoryCluster, minority: Connection
) -> None:
    """The latter finds the newest state alone."""
    async with minority.quorum() as busy, minority.quorum() as waiting:
        await anext(busy)
        await anext(waiting)
        memory.node(1).kill()
        await unknown(waiting)
        memory.node(1).start()
        assert (await reached(waiting, (1, 2, 3))) == await anext(busy)


@pytest.fixture(params=["memory", "corosync"])
def stallable(
    request: pytest.FixtureRequest, memory: MemoryCluster, mortal_cluster: CorosyncCluster
) -> MemoryNode | ClusterNode:
    """A node that can be made to stand still."""
    if request.param == "memory":
        return memory.node(1)
    mortal_cluster.restore()
    return mortal_cluster.node(1)


async def test_daemon_that_stands_still_is_believed_no_more(stallable: MemoryNode | ClusterNode) -> None:
    """It cannot say that the others go on without it; when it answers again, its word counts again."""
    async with stallable.connect(stall_after=0.2) as cpg, cpg.quorum() as quorum:
        before: QuorumState = await anext(quorum)
        assert before.is_quorate
        stallable.stop()
        assert "does not answer" in (await unknown(quorum)).reason
        await until(lambda: not quorum.state.is_quorate)  # what was read may be of a moment before
        stallable.cont()
        assert (await reached(quorum, quorum_nodes(stallable))).is_quorate


async def test_daemon_that_stands_still_is_not_believed_by_one_who_looks_for_a_moment(
    stallable: MemoryNode | ClusterNode,
) -> None:
    """Nobody watches in between, so nothing was asked: opening waits for a sign of life."""
    async with stallable.connect() as cpg:
        await in_context(cpg)
        stallable.stop()
        for _ in range(3):
            with anyio.move_on_after(0.05) as waiting:
                await in_context(cpg)
            assert waiting.cancelled_caught
        stallable.cont()
        async with cpg.quorum() as quorum:
            assert (await reached(quorum, quorum_nodes(stallable))).is_quorate


def quorum_nodes(node: MemoryNode | ClusterNode) -> tuple[int, ...]:
    """The nodes of the ring that it is on."""
    return (1, 2, 3) if isinstance(node, MemoryNode) else (1,)


async def test_daemon_known_to_stand_still_is_not_waited_for(memory: MemoryCluster, minority: Connection) -> None:
    """The state says so, and follows when it answers again."""
    await in_context(minority)
    memory.node(1).stop()
    await until(lambda: minority.health.stalled_for > 0)
    async with minority.quorum() as quorum:
        assert isinstance(await anext(quorum), QuorumUnknown)
        memory.node(1).cont()
        assert (await reached(quorum, (1, 2, 3))).is_quorate


async def test_daemon_is_asked_only_while_somebody_watches(node: ClusterNode) -> None:
    """And never where there is nobody who decides."""
    async with node.connect() as cpg:
        keeper = cpg._session.quorum
        assert not keeper.is_pulse_wanted
        async with cpg.quorum():
            assert keeper.is_pulse_wanted
        assert not keeper.is_pulse_wanted
    with MemoryCluster(quorum=False) as memory:
        async with memory.node(1).connect() as cpg, cpg.quorum():
            assert not cpg._session.quorum.is_pulse_wanted


async def test_handle_that_is_lost_alone_is_had_again_with_reconnect(node: ClusterNode) -> None:
    """The connection lives on; without reconnect the watch ends, and another one can be opened."""
    async with node.connect(reconnect=QUICK) as cpg, cpg.quorum() as quorum:
        await anext(quorum)
        cpg._link.engine._quorum._raw.shutdown()  # type: ignore[attr-defined] # corosync's
        await unknown(quorum)
        assert (await reached(quorum, (1,))).is_quorate
    async with node.connect() as cpg, cpg.quorum() as quorum:
        await anext(quorum)
        cpg._link.engine._quorum._raw.shutdown()  # type: ignore[attr-defined] # corosync's
        await raises_the_loss(quorum)
        async with cpg.quorum() as another:
            assert another.state.is_quorate
