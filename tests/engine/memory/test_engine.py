"""One process of a world: its address, what it is told, and what waits for a node that stands still."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator

import anyio
import pytest

import aiocpg
from aiocpg import AlreadyJoinedError, ConfigurationChange, ConnectionLostError, EngineUnavailableError, Reason
from aiocpg._loop import current_port
from aiocpg.engine import open_engine
from aiocpg.engine.memory import MemoryEngine
from aiocpg.testing import MemoryCluster
from aiocpg.testing.conformance._member import Member, RingWatcher
from support.loops import BACKENDS, Backend
from support.running import in_thread, run_in, turns, until

pytestmark = pytest.mark.anyio


async def opened(url: str) -> MemoryEngine:
    """Open an engine."""
    engine = await open_engine(url, current_port())
    assert isinstance(engine, MemoryEngine)
    return engine


@pytest.fixture
async def engine(cluster: MemoryCluster) -> AsyncIterator[MemoryEngine]:
    """A process on node 1."""
    engine = await opened(cluster.node(1).url)
    yield engine
    await engine.aclose()


# -- Addresses


async def test_each_connection_is_a_process_of_its_own() -> None:
    """Counted from 1 in its world, on node 1 unless it asks for another."""
    engines = [await opened(f"memory://pids{query}") for query in ("", "", "?node=7", "?pid=3", "", "?node=2&pid=3")]
    assert [engine.address for engine in engines] == [(1, 1), (1, 2), (7, 3), (1, 3), (1, 4), (2, 3)]
    assert {(engine.max_message_size, engine.daemon) for engine in engines} == {(1_047_552, None)}
    for engine in engines:
        await engine.aclose()


async def test_claimed_pid_is_given_to_nobody_else() -> None:
    """While it is in use."""
    async with (
        aiocpg.connect("memory://claimed?pid=1") as one,
        aiocpg.connect("memory://claimed") as other,
        one.join("group") as mine,
        other.join("group") as its,
    ):
        assert [mine.me, its.me] == [(1, 1), (1, 2)]


async def test_one_process_with_two_connections_joins_a_group_once() -> None:
    """As everywhere."""
    async with aiocpg.connect("memory://twice?pid=9") as one, aiocpg.connect("memory://twice?pid=9") as other:
        async with one.join("group") as group:
            with pytest.raises(AlreadyJoinedError):
                await other.join("group")
            assert group.members == (group.me,)
        async with other.join("group") as group:
            assert group.me == (1, 9)


async def test_daemon_is_not_to_be_looked_for() -> None:
    """There is none, whoever asks for its user is wrong."""
    with pytest.raises(aiocpg.UsageError, match="daemon_uid"):
        await aiocpg.connect("memory://nobody", daemon_uid=0)


async def test_node_of_a_cluster_runs_when_the_cluster_says_so(cluster: MemoryCluster) -> None:
    """It is not started by who asks for it; one that may come back is worth another try."""
    cluster.node(2).kill()
    with pytest.raises(EngineUnavailableError, match="does not run") as caught:
        await opened(cluster.node(2).url)
    assert caught.value.transient
    with pytest.raises(EngineUnavailableError, match="no node 4") as caught:
        await opened(cluster.node(1).url.replace("node=1", "node=4"))
    assert not caught.value.transient


async def test_new_node_joins_the_others() -> None:
    """The ring forms anew, and all are told."""
    first = await opened("memory://grows?node=2")
    watcher = RingWatcher()
    first.listen(watcher)
    second = await opened("memory://grows?node=1")
    await until(lambda: len(watcher.rings) == 2)
    assert [change.nodes for change in watcher.rings] == [(2,), (1, 2)]
    for engine in (first, second):
        engine.abandon()


# -- Rings


async def test_every_ring_is_reported_once(engine: MemoryEngine, cluster: MemoryCluster) -> None:
    """Also those that were formed in one go, but none that formed elsewhere."""
    watcher = RingWatcher()
    engine.listen(watcher)
    assert [change.nodes for change in watcher.rings] == [(1, 2, 3)]
    cluster.partition({1}, {2, 3})
    cluster.partition({1}, {2}, {3})
    cluster.heal()
    cluster.heal()
    await until(lambda: len(watcher.rings) == 3)
    await turns()
    assert [change.nodes for change in watcher.rings] == [(1, 2, 3), (1,), (1, 2, 3)]
    assert [change.ring_id for change in watcher.rings] == sorted({change.ring_id for change in watcher.rings})


# -- A node that stands still


async def test_calls_wait_while_the_node_stands_still(engine: MemoryEngine, cluster: MemoryCluster) -> None:
    """Connecting too; all go on with it."""
    done: list[str] = []

    async def call(name: str) -> None:
        calls = {
            "join": lambda: engine.join(b"group"),
            "members": lambda: engine.members(b"group"),
            "groups": engine.groups,
            "ping": engine.ping,
            "open": lambda: opened(cluster.node(1).url),
        }
        await calls[name]()
        done.append(name)

    cluster.node(1).stop()
    async with anyio.create_task_group() as tasks:
        for name in ("join", "members", "groups", "ping", "open"):
            tasks.start_soon(call, name)
        await turns(20)
        assert done == []
        cluster.node(1).cont()
    assert sorted(done) == ["groups", "join", "members", "open", "ping"]


async def test_connecting_to_a_node_that_stands_still_can_be_given_up(cluster: MemoryCluster) -> None:
    """Nothing stays of it."""
    cluster.node(1).stop()
    with pytest.raises(EngineUnavailableError, match="did not let us in"):
        await aiocpg.connect(cluster.node(1).url, connect_timeout=0.01)
    cluster.node(1).cont()
    async with cluster.node(2).connect() as cpg, cpg.join("group") as group:
        assert group.members == (group.me,)


# -- Loops and threads


async def test_members_of_all_threads_and_loops_are_in_one_order() -> None:
    """Four loops of three kinds, all talking at once."""
    count = 200

    async def member(number: int, results: list[list[tuple[object, bytes]]]) -> None:
        async with aiocpg.connect("memory://threads") as cpg, cpg.join("group") as group:
            heard: list[tuple[object, bytes]] = []
            messages, views = group.messages(), group.views()
            async for view in views:
                if len(view.members) == 4:
                    break
            await group.mcast_many([b"%d" % turn for turn in range(count)] + [b"end"])
            async for message in messages:
                heard.append((message.sender, message.data))
                if sum(data == b"end" for _, data in heard) == 4:
                    break
            results.append(heard)

    results: list[list[tuple[object, bytes]]] = []
    backends: list[Backend] = [*BACKENDS.values(), BACKENDS["asyncio"]]
    threads = [
        threading.Thread(target=run_in, args=(backend, member, number, results), daemon=True)
        for number, backend in enumerate(backends)
    ]
    for thread in threads:
        thread.start()
    await until(lambda: not any(thread.is_alive() for thread in threads))
    assert [len(result) for result in results] == 4 * [4 * (count + 1)]
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("backend", BACKENDS.values(), ids=BACKENDS.keys())
async def test_member_whose_loop_has_ended_is_gone(backend: Backend) -> None:
    """Found out when the next one comes or goes, at the latest; the others see it go with PROCDOWN."""

    async def come() -> Member:
        other = await opened("memory://ended")
        return Member(await other.join(b"group"))

    engine = await opened("memory://ended")
    member = Member(await engine.join(b"group"))
    left_behind = await in_thread(lambda: run_in(backend, come))
    await engine.join(b"another")
    await until(lambda: len(member.records) == 4)
    gone = member.records[-1]
    assert isinstance(gone, ConfigurationChange)
    assert gone.left == ((left_behind.me, Reason.PROCDOWN),)
    await engine.aclose()


def test_connection_that_is_forgotten_is_closed() -> None:
    """Found out by who comes next; the warning says where it was opened."""

    async def forget() -> None:
        cpg = await aiocpg.connect("memory://forgotten")
        await cpg.join("group")

    runner = asyncio.new_event_loop()
    runner.run_until_complete(forget())
    runner.close()

    async def look() -> None:
        async with aiocpg.connect("memory://forgotten") as cpg, cpg.join("group") as group:
            assert group.me == (1, 1)

    def find_out() -> None:
        asyncio.run(look())
        gc.collect()

    del runner
    with pytest.warns(ResourceWarning, match="never closed; opened at .*test_engine.py"):
        find_out()


# -- The end


async def test_crash_is_a_loss_here_and_a_departure_there(cluster: MemoryCluster) -> None:
    """The connection is told first: who goes back waits for it."""
    told: list[str] = []

    class Teller(RingWatcher):
        def on_lost(self, error: aiocpg.CPGError) -> None:
            super().on_lost(error)
            told.append("connection")

    class Listener(Member):
        def on_lost(self, error: aiocpg.CPGError) -> None:
            super().on_lost(error)
            told.append("membership")

    engine, other = [await opened(cluster.node(1).url) for _ in range(2)]
    engine.listen(Teller())
    member, witness = Listener(await engine.join(b"group")), Member(await other.join(b"group"))
    engine.world.crash(engine)
    await until(lambda: len(told) == 2)
    assert told == ["connection", "membership"]
    assert isinstance(member.losses[0], ConnectionLostError)
    await until(lambda: len(witness.records) == 3)
    gone = witness.records[-1]
    assert isinstance(gone, ConfigurationChange)
    assert gone.left == ((member.me, Reason.PROCDOWN),)
    await other.aclose()


async def test_fault_in_a_listener_ends_the_connection_and_says_so(engine: MemoryEngine) -> None:
    """It is a loss with a cause."""

    class Faulty(RingWatcher):
        def on_ring(self, change: aiocpg.RingChange) -> None:
            super().on_ring(change)
            if len(self.rings) > 1:
                raise LookupError("a fault")

    watcher = Faulty()
    engine.listen(watcher)
    engine.world.partition([[1]])
    await until(lambda: watcher.losses)
    assert isinstance(watcher.losses[0].__cause__, LookupError)
