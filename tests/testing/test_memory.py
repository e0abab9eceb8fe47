"""Clusters inside the process: shaped as the real ones, with faults that take no time and lags that repeat."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import pytest

import aiocpg
from aiocpg import Address, Connection, ConnectionLostError, Group, Reason, View
from aiocpg.testing import ClusterError, ClusterNode, CorosyncCluster, MemoryCluster, MemoryNode
from support.running import turns, until

on_three_loops = pytest.mark.anyio


@pytest.fixture
def cluster() -> Iterator[MemoryCluster]:
    """Three nodes without daemons."""
    with MemoryCluster() as cluster:
        yield cluster


@pytest.fixture
async def groups(cluster: MemoryCluster) -> AsyncIterator[list[Group]]:
    """A member on each node."""
    async with (
        cluster.node(1).connect() as one,
        cluster.node(2).connect() as two,
        cluster.node(3).connect() as three,
        one.join("group") as first,
        two.join("group") as second,
        three.join("group") as third,
    ):
        yield [first, second, third]


async def seen(group: Group, *members: Group) -> View:
    """Wait until a group's newest view is of exactly these."""
    wanted = tuple(sorted(member.me for member in members))
    await until(lambda: group.view.members == wanted)
    return group.view


# -- The shape


def test_it_has_what_a_real_cluster_has() -> None:
    """But for what takes namespaces, links, logs and processes."""
    real = {name for name in dir(CorosyncCluster) if not name.startswith("_")}
    assert real - set(dir(MemoryCluster)) == {"deafen"}
    of_node = {name for name in dir(ClusterNode) if not name.startswith("_")}
    links_and_files = {"limit_rate", "degrade", "fill_shm", "free_shm", "shm_files"}
    assert of_node - set(dir(MemoryNode)) == links_and_files | {"enter", "spawn", "log", "pid", "rss"}


async def name_of(cluster: MemoryCluster) -> str:
    """Return the name in its URLs."""
    return cluster.node(1).url.partition("?")[0]


@on_three_loops
async def test_cluster_is_had_with_either_block() -> None:
    """Each has a name of its own; afterwards it is not running."""
    with MemoryCluster(nodes=2) as one:
        async with MemoryCluster(nodes=1) as other:
            assert [len(cluster.nodes) for cluster in (one, other)] == [2, 1]
            assert await name_of(one) != await name_of(other)
        assert other.nodes == ()
        other.close()
        assert [node.members for node in one.nodes] == [(1, 2), (1, 2)]
    with pytest.raises(ValueError, match="not started"):
        one.node(1)
    with pytest.raises(ClusterError, match="not running"):
        one.heal()


@on_three_loops
async def test_named_cluster_is_reached_by_its_url() -> None:
    """By a program that knows nothing of tests."""
    with MemoryCluster(name="shop") as cluster:
        async with aiocpg.connect("memory://shop?node=2") as cpg, cluster.node(3).connect() as other:
            assert (cpg.nodeid, other.nodeid) == (2, 3)
        with pytest.raises(ClusterError, match="exists already"):
            MemoryCluster(name="shop").start()
        with pytest.raises(ClusterError, match="started already"):
            cluster.start()
    with MemoryCluster(nodes=1, name="shop"):
        pass


@pytest.mark.parametrize("nodes", [0, 65, "3"])
def test_number_of_nodes_is_checked(nodes: int) -> None:
    """As for a real one."""
    with pytest.raises(ValueError, match="1 to 64"):
        MemoryCluster(nodes)


def test_name_is_checked() -> None:
    """As in a URL."""
    with pytest.raises(aiocpg.UsageError):
        MemoryCluster(name="no name")


@pytest.mark.parametrize("sides", [({1}, {1, 2}), ({4},), ({0},)])
def test_sides_that_cannot_be_are_refused(cluster: MemoryCluster, sides: tuple[set[int], ...]) -> None:
    """As by a real one, and nothing is cut."""
    with pytest.raises(ValueError):
        cluster.partition(*sides)
    with pytest.raises(TypeError):
        cluster.partition(1)  # type: ignore[arg-type]
    cluster.wait_formed()


@on_three_loops
async def test_close_loses_what_is_open() -> None:
    """A connection does not outlive its cluster."""
    with MemoryCluster() as cluster:
        cpg = await cluster.node(1).connect()
        group = await cpg.join("group")
    with pytest.raises(ConnectionLostError, match="ended with its MemoryCluster"):
        await group.mcast(b"x")
    await cpg.aclose()


# -- Faults


@on_three_loops
async def test_cut_and_heal_are_seen_as_on_a_real_cluster(cluster: MemoryCluster, groups: list[Group]) -> None:
    """Each side sees the other's nodes go, and come."""
    first, second, third = groups
    await seen(first, *groups)
    cluster.partition({1}, {2, 3})
    cluster.wait_formed({1}, {2, 3})
    view = await seen(first, first)
    assert dict(view.left) == {second.me: Reason.NODEDOWN, third.me: Reason.NODEDOWN}
    await seen(second, second, third)
    cluster.heal()
    await cluster.until_formed()
    view = await seen(first, *groups)
    assert dict(view.joined) == {second.me: Reason.NODEUP, third.me: Reason.NODEUP}


@on_three_loops
async def test_killed_node_takes_its_members_and_they_come_back(cluster: MemoryCluster) -> None:
    """With ``reconnect``, when it is started again; the others see NODEDOWN and a join."""
    policy = aiocpg.Reconnect(first_pause=0.001, longest_pause=0.01)
    async with (
        cluster.node(1).connect(reconnect=policy) as near,
        cluster.node(2).connect() as far,
        near.join("group") as mine,
        far.join("group") as its,
    ):
        await seen(its, mine, its)
        gone = mine.me
        cluster.node(1).kill()
        cluster.node(1).wait_gone()
        assert cluster.node(2).members == (2, 3)
        assert dict((await seen(its, its)).left) == {gone: Reason.NODEDOWN}
        cluster.node(1).start()
        await cluster.node(1).until_ready()
        await until(lambda: len(its.members) == 2)
        await until(lambda: near.health.is_connected and mine.me != gone)
        assert dict(its.view.joined) == {mine.me: Reason.JOIN}
        await mine.mcast_confirmed(b"back")


@on_three_loops
async def test_terminated_node_takes_leave(cluster: MemoryCluster, groups: list[Group]) -> None:
    """Its processes are seen to go, then the node."""
    changes = groups[1].changes()
    await seen(groups[1], *groups)
    cluster.node(1).terminate()
    await seen(groups[1], *groups[1:])
    async for change in changes:
        if change.left:
            assert change.left == ((groups[0].me, Reason.PROCDOWN),)
            break
    assert cluster.node(1).members == ()


@on_three_loops
async def test_crash_is_seen_as_the_end_of_a_process(cluster: MemoryCluster) -> None:
    """Its node goes on, with the other processes there."""
    async with (
        cluster.node(1).connect() as one,
        cluster.node(1).connect() as other,
        one.join("group") as mine,
        other.join("group") as its,
    ):
        await seen(its, mine, its)
        cluster.crash(one)
        assert dict((await seen(its, its)).left) == {mine.me: Reason.PROCDOWN}
        with pytest.raises(ConnectionLostError, match="made to crash"):
            await mine.mcast(b"x")
    async with aiocpg.connect("memory://elsewhere") as stranger:
        with pytest.raises(ValueError, match="none of this cluster's"):
            cluster.crash(stranger)


@on_three_loops
async def test_stopped_node_is_told_of_as_stalled(cluster: MemoryCluster) -> None:
    """As a daemon that does not answer; unlike one it is not lost to the others."""
    async with (
        cluster.node(1).connect(stall_after=0.01) as near,
        cluster.node(2).connect() as far,
        near.join("group") as mine,
        far.join("group") as its,
    ):
        await seen(its, mine, its)
        events = mine.events()
        cluster.node(1).stop()
        async for event in events:
            if isinstance(event, aiocpg.DaemonStalled):
                break
        assert its.members == (mine.me, its.me)
        cluster.node(1).cont()
        async for event in events:
            if isinstance(event, aiocpg.DaemonResumed):
                break


@on_three_loops
async def test_congested_node_lets_senders_wait(cluster: MemoryCluster, groups: list[Group]) -> None:
    """Until it is relieved; what others send comes meanwhile."""
    cluster.node(1).congest()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(groups[0].mcast_confirmed, b"waits")
        messages = groups[0].messages()
        await groups[1].mcast(b"passes")
        assert (await anext(messages)).data == b"passes"
        cluster.node(1).relieve()
    assert (await anext(messages)).data == b"waits"


@on_three_loops
async def test_restore_mends_everything(cluster: MemoryCluster) -> None:
    """Whatever was done, connections on nodes that ran are left alone."""
    async with cluster.node(1).connect() as cpg:
        cluster.partition({1}, {2, 3})
        cluster.delay()
        cluster.node(1).congest()
        cluster.node(1).stop()
        cluster.node(2).kill()
        cluster.node(3).stop()
        cluster.node(3).terminate()
        await cluster.until_restored()
        cluster.wait_formed()
        async with cpg.join("group") as group:
            await group.mcast_confirmed(b"x")


@pytest.mark.parametrize(
    "fault", [MemoryNode.kill, MemoryNode.terminate, MemoryNode.stop, MemoryNode.cont, MemoryNode.congest]
)
def test_node_that_does_not_run_cannot_be_harmed(cluster: MemoryCluster, fault: Callable[[MemoryNode], None]) -> None:
    """As a daemon that does not run gets no signal."""
    cluster.node(1).kill()
    with pytest.raises(ClusterError, match="does not run"):
        fault(cluster.node(1))
    cluster.node(1).start()
    with pytest.raises(ClusterError, match="still runs"):
        cluster.node(1).start()


# -- Waiting


def test_wait_is_for_what_others_do(cluster: MemoryCluster) -> None:
    """Here another thread, while this one waits."""
    cluster.partition({1})
    thread = threading.Thread(target=cluster.heal)
    thread.start()
    cluster.node(1).wait_members(1, 2, 3)
    thread.join()


@on_three_loops
async def test_wait_for_what_nobody_does_ends(cluster: MemoryCluster) -> None:
    """With the reason."""
    with pytest.raises(ClusterError, match="not on a ring"):
        await cluster.until_formed({1}, timeout=0)
    with pytest.raises(ClusterError, match="not on a ring"):
        cluster.node(1).wait_members(1, timeout=0)
    with pytest.raises(ClusterError, match="runs on"):
        await cluster.node(1).until_gone(timeout=0)
    with pytest.raises(ValueError, match="without itself"):
        await cluster.node(1).until_members(2)
    cluster.node(1).kill()
    with pytest.raises(ClusterError, match="does not run"):
        cluster.wait_formed()
    with pytest.raises(ClusterError, match="does not run"):
        cluster.node(1).wait_ready(timeout=0)


# -- Lag


async def _race(seed: int) -> list[tuple[Address, bytes]]:
    """Who hears what, in the order in which it happens."""
    heard: list[tuple[Address, bytes]] = []
    with MemoryCluster(seed=seed) as cluster:
        connections: list[Connection] = [await node.connect() for node in cluster.nodes]
        groups = [await cpg.join("race") for cpg in connections]
        streams = [group.messages() for group in groups]
        cluster.delay(most=2)

        async def read(group: Group, stream: aiocpg.Stream[aiocpg.Message]) -> None:
            async for message in stream:
                heard.append((group.me, message.data))
                if message.data == b"29":
                    return

        async with asyncio.TaskGroup() as tasks:
            for group, stream in zip(groups, streams, strict=True):
                tasks.create_task(read(group, stream))
            for number in range(30):
                await groups[number % 3].mcast(b"%d" % number)
        for cpg in connections:
            await cpg.aclose()
    return heard


def lag(heard: list[tuple[Address, bytes]]) -> int:
    """How far any two members were apart at the most."""
    counts = dict.fromkeys((who for who, _ in heard), 0)
    most = 0
    for who, _ in heard:
        counts[who] += 1
        most = max(most, max(counts.values()) - min(counts.values()))
    return most


def test_lag_repeats_with_its_seed_and_differs_with_another() -> None:
    """All hear the same in the same order, at other times."""
    first, again, other = (asyncio.run(_race(seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    for heard in (first, other):
        logs = {who: [data for one, data in heard if one == who] for who, _ in heard}
        assert all(log == [b"%d" % number for number in range(30)] for log in logs.values())


def test_lag_lets_members_fall_apart() -> None:
    """By more than one portion."""
    assert lag(asyncio.run(_race(1))) > 2


@on_three_loops
async def test_some_nodes_lag_and_heal_ends_it(cluster: MemoryCluster, groups: list[Group]) -> None:
    """The others do not; what was held back comes at once."""
    with pytest.raises(ValueError, match="at least 1"):
        cluster.delay(most=0)
    with pytest.raises(ValueError, match="no node 4"):
        cluster.delay(4)
    streams = [group.messages() for group in groups]
    cluster.delay(3, most=1)
    await groups[0].mcast_many([b"%d" % number for number in range(100)])
    assert len(await streams[0].receive_batch()) == 100
    cluster.heal()
    await turns()
    assert len(await streams[2].receive_batch()) > 1


def test_faults_take_no_time_of_the_clock(cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in them sleeps."""

    def never(seconds: float) -> None:
        raise AssertionError("it slept")

    monkeypatch.setattr(time, "sleep", never)
    cluster.partition({1}, {2, 3})
    cluster.wait_formed({1}, {2, 3})
    cluster.node(1).kill()
    cluster.node(1).wait_gone()
    cluster.restore()
    cluster.wait_formed()
