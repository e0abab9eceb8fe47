"""Processes and nodes that go, and come back: every member sees it, in one view each time, with the reason."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from aiocpg import Address, ConnectionLostError, Group, Reason, Stream, View
from aiocpg.testing import CorosyncCluster
from faults import programs
from faults.watching import PATIENCE, Measured
from support.handles import ended, heard

pytestmark = pytest.mark.anyio

NODES = (1, 2, 3)
GROUP = b"members"


class Watchers:
    """
    A member on each node, all in this process, and the views that each has not read yet.

    Attributes:
        groups: By node.
    """

    def __init__(self, groups: Mapping[int, Group]) -> None:
        self.groups = groups
        self._views: dict[int, Stream[View]] = {node: group.views() for node, group in groups.items()}

    def of(self, *nodes: int) -> set[Address]:
        """Return the members on these nodes."""
        return {self.groups[node].me for node in nodes}

    async def all_there(self) -> None:
        """Read up to the view in which everybody is."""
        for node in self.groups:
            while set((await self.next(node)).members) != self.of(*self.groups):
                pass

    async def next(self, node: int) -> View:
        """Return the next view that a node's member sees."""
        with anyio.fail_after(PATIENCE):
            return await anext(self._views[node])


@asynccontextmanager
async def watching(cluster: CorosyncCluster, nodes: Collection[int] = NODES) -> AsyncIterator[Watchers]:
    """Join on each node and wait until all see all."""
    async with AsyncExitStack() as stack:
        groups: dict[int, Group] = {}
        for node in nodes:
            cpg = await stack.enter_async_context(cluster.node(node).connect())
            groups[node] = await stack.enter_async_context(cpg.join(GROUP))
        watchers = Watchers(groups)
        await watchers.all_there()
        yield watchers


def everyone(reason: Reason, members: Collection[Address]) -> dict[Address, Reason]:
    """Return what ``joined`` or ``left`` must be."""
    return dict.fromkeys(members, reason)


async def test_all_members_see_procdown_when_a_process_is_killed(cluster: CorosyncCluster, measured: Measured) -> None:
    """A member killed with SIGKILL is gone for all at once, as PROCDOWN."""
    async with watching(cluster) as watchers:
        with ended(programs.start(cluster.node(2), "member", GROUP.decode())) as victim:
            await anyio.to_thread.run_sync(heard, victim, "joined")
            address = Address(2, victim.pid)
            for node in NODES:
                assert (await watchers.next(node)).joined == {address: Reason.JOIN}
            victim.kill()
            killed = time.monotonic()
            for node in NODES:
                view = await watchers.next(node)
                assert (view.left, view.joined) == ({address: Reason.PROCDOWN}, {})
                assert set(view.members) == watchers.of(*NODES)
            measured("until all had seen it", (time.monotonic() - killed) * 1000, "ms")


async def test_all_members_see_leave_when_a_process_leaves(cluster: CorosyncCluster) -> None:
    """A member that leaves is gone as LEAVE, and its own reader ends."""
    async with watching(cluster) as watchers:
        with ended(programs.start(cluster.node(3), "member", GROUP.decode())) as leaver:
            await anyio.to_thread.run_sync(heard, leaver, "joined")
            address = Address(3, leaver.pid)
            for node in NODES:
                assert (await watchers.next(node)).joined == {address: Reason.JOIN}
            assert leaver.stdin is not None
            leaver.stdin.write("leave\n")
            leaver.stdin.flush()
            await anyio.to_thread.run_sync(heard, leaver, "left")
            for node in NODES:
                view = await watchers.next(node)
                assert (view.left, view.joined) == ({address: Reason.LEAVE}, {})


async def test_each_side_sees_the_other_go_and_come_when_a_node_is_cut_off_and_healed(
    cluster: CorosyncCluster, measured: Measured
) -> None:
    """NODEDOWN in one view on either side, the lonely node alone in its own; NODEUP in one view when it is whole."""
    async with watching(cluster) as watchers:
        cut = time.monotonic()
        cluster.partition({1, 2}, {3})
        await each_sees_only_its_side(watchers)
        measured("until all had seen the cut", (time.monotonic() - cut) * 1000, "ms")
        healed = time.monotonic()
        cluster.heal()
        await each_sees_the_other_side_come(watchers)
        measured("until all had seen it healed", (time.monotonic() - healed) * 1000, "ms")
        await all_talk(watchers)


async def each_sees_only_its_side(watchers: Watchers) -> None:
    """Read the view of the cut on each node."""
    majority, lonely = watchers.of(1, 2), watchers.of(3)
    for node, mine, others in ((1, majority, lonely), (2, majority, lonely), (3, lonely, majority)):
        view = await watchers.next(node)
        assert set(view.members) == mine
        assert (view.left, view.joined) == (everyone(Reason.NODEDOWN, others), {})


async def each_sees_the_other_side_come(watchers: Watchers) -> None:
    """Read the view of the merge on each node: all have the same ring and members."""
    rings = set()
    for node, others in ((1, (3,)), (2, (3,)), (3, (1, 2))):
        view = await watchers.next(node)
        assert set(view.members) == watchers.of(*NODES)
        assert view.joined == everyone(Reason.NODEUP, watchers.of(*others))
        assert view.left == {}
        rings.add(view.ring_id)
    assert len(rings) == 1


async def all_talk(watchers: Watchers) -> None:
    """Have each member send and wait for its own; the group works."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for group in watchers.groups.values():
                tasks.start_soon(group.mcast_confirmed, b"still here")


async def test_members_see_a_node_leave_and_join_in_one_view_when_it_was_away_for_one_ring(
    cluster: CorosyncCluster, measured: Measured
) -> None:
    """A node that was alone between two rings of the others is in ``left`` and ``joined``: its history has parted."""
    async with watching(cluster) as watchers:
        attempts, together = 0, False
        while not together and attempts < 20:  # whether the others form a ring without it meanwhile is a matter of luck
            attempts += 1
            cluster.partition({1, 2}, {3})
            assert (await watchers.next(3)).members == (watchers.groups[3].me,)
            cluster.heal()
            assert (await watchers.next(3)).joined == everyone(Reason.NODEUP, watchers.of(1, 2))
            together = all([await came_back_in_one_view(watchers, node) for node in (1, 2)])
        measured("attempts", attempts, "")
        assert together
        await all_talk(watchers)


async def came_back_in_one_view(watchers: Watchers, node: int) -> bool:
    """Read the views in which node 3 goes and comes: one with both, or two."""
    gone, back = everyone(Reason.NODEDOWN, watchers.of(3)), everyone(Reason.NODEUP, watchers.of(3))
    view = await watchers.next(node)
    assert view.left == gone
    if view.joined == back:
        assert set(view.stayed) == watchers.of(1, 2)
        return True
    assert view.joined == {}
    view = await watchers.next(node)
    assert (view.left, view.joined) == ({}, back)
    return False


async def test_members_see_a_node_go_and_come_when_its_daemon_was_stopped(fresh_cluster: CorosyncCluster) -> None:
    """A daemon that hangs is NODEDOWN for the others; when it goes on, its own members see that they were alone."""
    async with watching(fresh_cluster) as watchers:
        fresh_cluster.node(3).stop()
        for node in (1, 2):
            view = await watchers.next(node)
            assert (view.left, view.joined) == (everyone(Reason.NODEDOWN, watchers.of(3)), {})
        fresh_cluster.node(3).cont()
        for node in (1, 2):
            assert (await watchers.next(node)).joined == everyone(Reason.NODEUP, watchers.of(3))
        await sees_the_others_go_and_come(watchers)
        await all_talk(watchers)


async def sees_the_others_go_and_come(watchers: Watchers) -> None:
    """Read the views of node 3, one or two: the others left, and joined."""
    others = watchers.of(1, 2)
    first = await watchers.next(3)
    assert first.left == everyone(Reason.NODEDOWN, others)
    last = first if first.joined else await watchers.next(3)
    assert last.joined == everyone(Reason.NODEUP, others)
    assert last.stayed == (watchers.groups[3].me,)


async def test_members_see_nodedown_when_a_daemon_is_killed_and_its_members_are_told(
    fresh_cluster: CorosyncCluster,
) -> None:
    """A daemon that crashes takes its members along: NODEDOWN for the others, the loss for themselves."""
    async with watching(fresh_cluster, nodes=(1, 2)) as watchers, fresh_cluster.node(3).connect() as cpg:
        group = await cpg.join(GROUP)
        for node in (1, 2):
            assert (await watchers.next(node)).joined == {group.me: Reason.JOIN}
        fresh_cluster.node(3).kill()
        with pytest.raises(ConnectionLostError):
            await group.mcast_confirmed(b"anybody?")
        for node in (1, 2):
            view = await watchers.next(node)
            assert (view.left, view.joined) == ({group.me: Reason.NODEDOWN}, {})
            assert set(view.members) == watchers.of(1, 2)


async def test_members_see_procdown_when_a_daemon_is_stopped_in_order(fresh_cluster: CorosyncCluster) -> None:
    """A daemon that is terminated takes leave for its members, who are told of the loss; the others go on."""
    async with watching(fresh_cluster, nodes=(1, 2)) as watchers, fresh_cluster.node(3).connect() as cpg:
        group = await cpg.join(GROUP)
        for node in (1, 2):
            assert (await watchers.next(node)).joined == {group.me: Reason.JOIN}
        events = group.events()
        fresh_cluster.node(3).terminate()
        for node in (1, 2):
            view = await watchers.next(node)
            assert (view.left, view.joined) == ({group.me: Reason.PROCDOWN}, {})
        with pytest.raises(ConnectionLostError), anyio.fail_after(PATIENCE):
            while True:
                await anext(events)
        await all_talk(watchers)
