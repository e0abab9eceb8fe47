"""``connect`` and the connection: opening, asking, joining, closing, and what is refused with which cure."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import anyio
import pytest

import aiocpg
from aiocpg import (
    Address,
    AlreadyJoinedError,
    Connection,
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    EngineUnavailableError,
    GroupClosedError,
    GroupNameError,
    RingChange,
    SlowConsumerError,
    UsageError,
)
from aiocpg._connection import connect_entering
from aiocpg.testing import ClusterNode, CorosyncCluster
from aiocpg.testing._syscalls import CLONE_NEWNET, unshare
from support.running import PATIENCE, gone, stopped, turns, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def cpg(node: ClusterNode) -> AsyncIterator[Connection]:
    """A connection to the session's node, from which all members of earlier tests have gone."""
    async with node.connect() as cpg:
        await until_groups_are(cpg, {})
        yield cpg


async def until_groups_are(cpg: Connection, expected: Mapping[bytes, tuple[Address, ...]]) -> None:
    """Wait until these are there, and nobody else: a process that ended, or another node, is a little behind."""
    with anyio.fail_after(PATIENCE):
        while await cpg.groups() != expected:  # noqa: ASYNC110 - that is what this is for
            await anyio.sleep(0.001)


@pytest.fixture(scope="module")
def mortal_cluster() -> Iterator[CorosyncCluster]:
    """A node whose daemon the tests may kill."""
    with CorosyncCluster(nodes=1, token=10_000) as cluster:
        yield cluster


@pytest.fixture
def mortal(mortal_cluster: CorosyncCluster) -> Iterator[ClusterNode]:
    """A node that is started again when a test has killed its daemon."""
    node = mortal_cluster.node(1)
    yield node
    if node.pid is None:
        node.start()
        node.wait_ready()


async def kill(node: ClusterNode) -> None:
    """Crash the daemon, and wait until it is gone."""
    node.kill()
    await anyio.to_thread.run_sync(node.wait_gone)


# -- Opening


async def test_connection_says_where_it_is(node: ClusterNode, cpg: Connection) -> None:
    """The node, the limit, and the process behind it."""
    assert cpg.nodeid == 1
    assert cpg.max_message_size == 1_047_552
    assert cpg.daemon is not None
    assert (cpg.daemon.pid, cpg.daemon.uid, cpg.daemon.gid) == (node.pid, 0, 0)
    assert cpg.lags >= 0
    assert repr(cpg) == "<Connection node 1 open>"


async def test_connection_may_be_awaited_and_closed_by_another_task(node: ClusterNode, no_leaks: None) -> None:
    """Nobody holds a task group or a cancel scope across the return; aiohttp and pytest fixtures need that."""
    opened: list[Connection] = []

    async def open_() -> None:
        cpg = await node.connect()
        await cpg.join("group")
        opened.append(cpg)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(open_)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opened[0].aclose)


async def test_several_connections_are_independent(node: ClusterNode, cpg: Connection) -> None:
    """Closing one leaves the other as it is."""
    async with node.connect() as other, other.join("group"):
        pass
    assert await cpg.members("group") == ()


@pytest.mark.parametrize(
    "url", ["local://", "memory://demo?x=1", "corosync://host", "corosync://?x=1", "http://x", "x"]
)
def test_url_that_names_no_engine_is_refused_at_once(url: str) -> None:
    """Before anything is awaited, and never replaced by another engine."""
    with pytest.raises(UsageError):
        aiocpg.connect(url)


def test_url_of_the_environment_counts_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """``$AIOCPG_URL``; empty is not set."""
    monkeypatch.setenv("AIOCPG_URL", "nonsense://")
    with pytest.raises(UsageError, match="nonsense"):
        aiocpg.connect()
    with pytest.warns(RuntimeWarning, match="corosync://"):
        aiocpg.connect("corosync://")
    monkeypatch.setenv("AIOCPG_URL", "")
    with pytest.warns(RuntimeWarning, match="corosync://"):
        aiocpg.connect()


@pytest.mark.parametrize(
    ("wrong", "error", "told"),
    [
        ({"url": 5}, UsageError, "corosync://"),
        ({"connect_timeout": "5"}, TypeError, "connect_timeout is a number of seconds"),
        ({"connect_timeout": -1}, ValueError, "connect_timeout is a number of seconds, 0 or more"),
        ({"close_timeout": None}, TypeError, "close_timeout is a number of seconds"),
        ({"close_timeout": float("nan")}, ValueError, "close_timeout"),
        ({"daemon_uid": "root"}, TypeError, "daemon_uid is a user id"),
    ],
)
def test_bad_argument_is_refused_where_it_is_given(wrong: dict[str, Any], error: type[Exception], told: str) -> None:
    """At the call, by name; nothing was tried."""
    with pytest.raises(error, match=told):
        aiocpg.connect(**wrong)


async def test_bad_budget_is_refused_where_it_is_given(cpg: Connection) -> None:
    """A group whose other readers are well is not harmed by it."""
    for bad, error in (("1MB", TypeError), (1.5, TypeError), (None, TypeError), (-1, ValueError)):
        with pytest.raises(error, match="max_buffered_bytes"):
            cpg.join("budget", max_buffered_bytes=bad)
    async with cpg.join("budget") as group:
        with pytest.raises(TypeError, match="max_buffered_bytes"):
            group.messages(max_buffered_bytes="1MB")
        with pytest.raises(ValueError, match="max_buffered_bytes"):
            cpg.rings(max_buffered_bytes=-1)
        await group.mcast_confirmed(b"still there")


async def test_what_is_closed_cannot_be_entered(node: ClusterNode) -> None:
    """A block that would run without its connection or group does not begin."""
    cpg = await node.connect()
    group = await cpg.join("entered")
    await group.leave()
    with pytest.raises(GroupClosedError):
        async with group:
            pass
    await cpg.aclose()
    with pytest.raises(ConnectionClosedError):
        async with cpg:
            pass


async def test_host_without_a_daemon_is_unavailable_for_now(no_leaks: None) -> None:
    """With the reason, the cure, and that trying again may help."""
    opening = connect_entering(lambda: unshare(CLONE_NEWNET), "corosync://")
    with pytest.raises(EngineUnavailableError) as caught:
        await opening
    assert caught.value.transient
    assert "not running" in caught.value.reason
    assert "systemctl start corosync" in caught.value.cure


async def test_daemon_of_another_user_is_refused(node: ClusterNode, no_leaks: None) -> None:
    """Whoever listens on an abstract socket may not be corosync; trying again does not help."""
    with pytest.raises(EngineUnavailableError, match="runs as uid 0, not 12345") as caught:
        await node.connect(daemon_uid=12345)
    assert not caught.value.transient
    async with node.connect(daemon_uid=0):
        pass


async def test_stopped_daemon_is_given_up_after_the_timeout(node: ClusterNode, no_leaks: None) -> None:
    """libcpg has none; the thread that is left goes when the daemon runs on."""
    with stopped(node), pytest.raises(EngineUnavailableError, match=r"within 0\.2 s") as caught:
        await node.connect(connect_timeout=0.2)
    assert caught.value.transient
    async with node.connect(connect_timeout=None):
        pass


async def test_cancelled_connect_leaves_nothing(node: ClusterNode, no_leaks: None) -> None:
    """Wherever it is met."""
    for seconds in (0, 0.001, 0.005, 0.01):
        with anyio.move_on_after(seconds):
            async with node.connect():
                pass
    with stopped(node), anyio.move_on_after(0.1) as scope:
        await node.connect()
    assert scope.cancelled_caught


# -- Asking


async def test_members_are_told_of_any_group(cpg: Connection) -> None:
    """Our own, others', and one that nobody is in; by name as bytes or text."""
    async with cpg.join("ä") as group:
        assert await cpg.members("ä") == await cpg.members("ä".encode()) == (group.me,)
    assert await cpg.members("ä") == ()


async def test_groups_are_told_with_their_members(cluster: CorosyncCluster) -> None:
    """All of the cluster, sorted by address; trailing NULs are part of a name."""
    async with cluster.node(1).connect() as one, cluster.node(2).connect() as two:
        async with one.join("both"), two.join("both") as there, one.join(b"nul\0") as nul:
            await until(lambda: len(there.members) == 2)
            await until_groups_are(two, {b"both": (nul.me, there.me), b"nul\0": (nul.me,)})
        await until_groups_are(two, {})


async def test_questions_may_be_asked_at_once(cpg: Connection) -> None:
    """The handle takes one request at a time, and they wait for each other."""
    answers: list[object] = []

    async def ask() -> None:
        answers.extend([await cpg.members("nobody"), await cpg.groups()])

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(ask)
    assert answers.count(()) == 5
    assert answers.count({}) == 5


async def test_cancelled_question_is_answered_next_time(node: ClusterNode, cpg: Connection) -> None:
    """The call in C goes on until the daemon answers, and does no harm."""
    with stopped(node):
        for ask in (cpg.groups, lambda: cpg.members("x")):
            with anyio.move_on_after(0.05) as scope:
                await ask()
            assert scope.cancelled_caught
    assert await cpg.members("x") == ()
    assert await cpg.groups() == {}


async def test_rings_begin_with_the_present_one(cpg: Connection) -> None:
    """Although libcpg has no call for it; each iterator does, and no group is left behind."""
    first = await anext(cpg.rings())
    assert isinstance(first, RingChange)
    assert first.nodes == (1,)
    assert await anext(cpg.rings()) == first
    async with cpg.join("group") as group:
        assert group.view.ring_id == first.ring_id
    await gone(cpg, f"aiocpg.ring-probe.{os.getpid()}")


async def test_rings_tell_of_partitions_and_merges(cluster: CorosyncCluster) -> None:
    """As this node's daemon forms them; a reader with no room is told that it missed some."""
    async with cluster.node(1).connect() as cpg:
        rings, small = cpg.rings(), cpg.rings(max_buffered_bytes=256)
        assert (await anext(rings)).nodes == (1, 2, 3)
        assert (await anext(small)).nodes == (1, 2, 3)
        cluster.partition({1, 2})
        await _ring_of(rings, 1, 2)
        cluster.heal()
        await _ring_of(rings, 1, 2, 3)
        await anext(small)
        with pytest.raises(SlowConsumerError):
            await anext(small)
        assert (await anext(small)).nodes == (1, 2, 3)
    assert await rings.receive_batch() == []


async def _ring_of(rings: aiocpg.Stream[RingChange], *nodes: int) -> None:
    with anyio.fail_after(30):
        while (await anext(rings)).nodes != nodes:
            pass


# -- Joining


@pytest.mark.parametrize("name", ["", b"", "x" * 128, None, 5])
async def test_bad_name_is_refused_where_it_is_given(cpg: Connection, name: str) -> None:
    """``join`` does not wait for its ``await`` to say so."""
    with pytest.raises(GroupNameError):
        cpg.join(name)
    with pytest.raises(GroupNameError):
        await cpg.members(name)


@pytest.mark.parametrize("name", [b"x", b"x" * 127, b"crmd\0", bytes(range(1, 128)), "ü"])
async def test_every_good_name_can_be_joined(cpg: Connection, name: bytes | str) -> None:
    """And is handed back as bytes."""
    async with cpg.join(name) as group:
        assert group.name == (name.encode() if isinstance(name, str) else name)
        assert await cpg.groups() == {group.name: (group.me,)}


async def test_process_joins_a_group_once(node: ClusterNode, cpg: Connection) -> None:
    """The second is told at once, whichever connection it uses; afterwards the group is free again."""
    async with node.connect() as other, cpg.join("group"):
        for connection in (cpg, other):
            with pytest.raises(AlreadyJoinedError, match="share that Group object"):
                await connection.join("group")
    async with cpg.join("group"):
        pass


async def test_group_held_past_the_library_is_an_error_too(node: ClusterNode, cpg: Connection) -> None:
    """Another handle of this process holds it, and keeps it for longer than is tried."""
    from aiocpg.engine.corosync import _membership
    from support.handles import open_member

    with pytest.MonkeyPatch.context() as patch, open_member(node, b"held"):
        patch.setattr(_membership, "JOIN_RETRY_SECONDS", 0.1)
        with pytest.raises(AlreadyJoinedError):
            await cpg.join("held")
    async with cpg.join("held"):
        pass


async def test_group_is_free_when_two_nodes_are_meant(cluster: CorosyncCluster) -> None:
    """Once per node, not once per process."""
    one, two = cluster.node(1).connect(), cluster.node(2).connect()
    async with one as ours, two as theirs, ours.join("group") as here, theirs.join("group") as there:
        assert (here.me.nodeid, there.me.nodeid) == (1, 2)
        assert here.me.pid == there.me.pid


async def test_cancelled_join_leaves_nothing(node: ClusterNode, no_leaks: None) -> None:
    """No handle, no claim and, when the daemon has run on, no member."""
    async with node.connect() as cpg:
        for seconds in (0, 0.002, 0.005, 0.01):
            with anyio.move_on_after(seconds):
                async with cpg.join("group"):
                    await anyio.sleep_forever()
            await gone(cpg, "group")
        with stopped(node), anyio.move_on_after(0.1) as scope:
            await cpg.join("group")
        assert scope.cancelled_caught
        await gone(cpg, "group")
        async with cpg.join("group"):
            pass


# -- Closing


async def test_closing_leaves_all_groups(cluster: CorosyncCluster) -> None:
    """In order: others see LEAVE, readers end."""
    async with cluster.node(2).connect() as other, other.join("a") as a, other.join("b") as b:
        cpg = await cluster.node(1).connect()
        groups = [await cpg.join("a"), await cpg.join("b")]
        streams = [group.events() for group in groups]
        await cpg.aclose()
        await until(lambda: len(a.members) == len(b.members) == 1)
        for group, ours, stream in zip((a, b), groups, streams, strict=True):
            assert dict(group.view.left) == {ours.me: aiocpg.Reason.LEAVE}
            assert [event async for event in stream][-1] == ours.view
            with pytest.raises(GroupClosedError):
                await ours.mcast(b"x")


async def test_closed_connection_refuses_everything_but_closing(node: ClusterNode, no_leaks: None) -> None:
    """It says that this side has closed it."""
    cpg = await node.connect()
    rings = cpg.rings()
    await cpg.aclose()
    await cpg.aclose()
    for call in (cpg.join("group"), cpg.members("group"), cpg.groups()):
        with pytest.raises(ConnectionClosedError):
            await call
    with pytest.raises(ConnectionClosedError):
        cpg.rings()
    assert [ring async for ring in rings] == []
    assert repr(cpg) == "<Connection node 1 closed>"


async def test_block_closes_when_its_body_raises(node: ClusterNode, no_leaks: None) -> None:
    """Groups that were not closed are left, and the error goes on as it is."""
    with pytest.raises(KeyError, match="body"):
        async with node.connect() as cpg:
            group = await cpg.join("group")
            raise KeyError("body")
    assert "closed" in repr(group)


async def test_block_leaves_all_groups_when_its_body_is_cancelled(cluster: CorosyncCluster) -> None:
    """That is what a cancelled task still owes them; ``close_timeout`` bounds it."""
    async with cluster.node(2).connect() as other, other.join("a") as a:
        with anyio.CancelScope() as scope:
            async with cluster.node(1).connect() as cpg:
                group = await cpg.join("a")
                scope.cancel()
                await anyio.sleep_forever()
        assert dict(group.view.left) == {group.me: aiocpg.Reason.LEAVE}  # it was waited for
        await until(lambda: a.members == (a.me,))
        assert a.view.left == group.view.left


async def test_calls_that_wait_are_told_of_the_close(node: ClusterNode, no_leaks: None) -> None:
    """A join, and both questions; their daemon does not answer."""
    cpg = await node.connect(close_timeout=0.1)
    with stopped(node):
        async with anyio.create_task_group() as tasks:
            for call in (lambda: cpg.join("group"), lambda: cpg.members("group"), cpg.groups):
                tasks.start_soon(_fails_with, ConnectionClosedError, call)
            await turns()
            await cpg.aclose()


async def _fails_with(error: type[CPGError], call: object) -> None:
    assert callable(call)
    with pytest.raises(error):
        await call()


async def test_close_is_bounded_and_can_be_cancelled(node: ClusterNode, no_leaks: None) -> None:
    """By its timeout and by its caller; either way everything is given back."""
    for close_timeout, patience in ((0.1, 30), (30, 0.1)):
        cpg = await node.connect(close_timeout=close_timeout)
        group = await cpg.join("group")
        with stopped(node), anyio.move_on_after(patience) as scope:
            await cpg.aclose()
        assert scope.cancelled_caught == (patience < close_timeout)
        with pytest.raises(GroupClosedError):
            await group.mcast(b"x")
        async with node.connect() as other:
            await gone(other, "group")


# -- Losing it


async def test_killed_daemon_is_told_by_every_call(mortal: ClusterNode, no_leaks: None) -> None:
    """The same error each time; closing is silent."""
    cpg = await mortal.connect()
    rings = cpg.rings()
    await anext(rings)
    await kill(mortal)
    with pytest.raises(ConnectionLostError) as caught:
        while True:  # a daemon that the machine held up may have formed its ring anew before
            await anext(rings)
    for call in (cpg.join("group"), cpg.members("group"), cpg.groups()):
        with pytest.raises(ConnectionLostError) as again:
            await call
        assert again.value.args == caught.value.args
    with pytest.raises(ConnectionLostError):
        cpg.rings()
    assert repr(cpg) == "<Connection node 1 lost>"
    await cpg.aclose()


async def test_calls_that_wait_are_told_of_the_loss(mortal: ClusterNode) -> None:
    """By the descriptor, not by the call in C, which may never return."""
    async with mortal.connect() as cpg, anyio.create_task_group() as tasks:
        mortal.stop()
        for call in (lambda: cpg.join("group"), lambda: cpg.members("group"), cpg.groups):
            tasks.start_soon(_fails_with, ConnectionLostError, call)
        await turns()
        await kill(mortal)


async def test_lost_connection_is_replaced_by_a_new_one(mortal: ClusterNode) -> None:
    """When the daemon runs again."""
    async with mortal.connect() as cpg, cpg.join("group"):
        await kill(mortal)
        mortal.start()
        await anyio.to_thread.run_sync(mortal.wait_ready)
        async with mortal.connect() as again, again.join("group") as group:
            assert (await group.mcast_confirmed(b"x")).position == 1
            assert group.me == Address(1, group.me.pid)
