"""
Processes and nodes that go, and come back: every member sees it, in one view each time, with the reason.

Corosync's own cluster test suite names scenarios for CPG. Here they are:

============================  ====================================================================
CpgCfgChgOnGroupLeave,        this file, ``test_config_change_on_...``
OnNodeLeave, OnExecCrash,
OnNodeIsolate, OnNodeRestart,
OnLowestNodeJoin
CpgMsgOrderBasic              ``test_service.py``
CpgMsgOrderZcb                zero-copy sends are not offered (``test_binding.py`` says why)
CpgContextTest                ``test_lowlevel.py``, ``test_binding.py``
MemLeakObject, -Session       ``test_cycles.py``
GenSimulStart, -Stop,         ``test_service.py``
StartOnebyOne, StopOnebyOne,
RestartOnebyOne
============================  ====================================================================
"""

from __future__ import annotations

import time

import anyio
import anyio.to_thread
import pytest

from aiocpg import Address, ConnectionLostError, Reason
from aiocpg.testing import CorosyncCluster
from faults import programs
from faults.watchers import GROUP, NODES, Watchers, all_talk, everyone, watching
from faults.watching import PATIENCE, Measured
from support.handles import ended, heard

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


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


async def test_config_change_on_group_leave_is_seen_by_all_as_leave(cluster: CorosyncCluster) -> None:
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


async def test_config_change_on_node_isolate_is_seen_on_both_sides_and_undone_when_healed(
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


async def test_members_see_a_node_leave_and_join_in_one_view_when_it_was_away_for_one_ring(
    cluster: CorosyncCluster, measured: Measured
) -> None:
    """A node that was alone between two rings of the others is in ``left`` and ``joined``: its history has parted."""
    async with watching(cluster) as watchers:
        attempts, together = 0, False
        while not together and attempts < 60:  # whether the others form a ring without it meanwhile is a matter of luck
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


async def test_config_change_on_exec_crash_is_seen_as_nodedown_and_its_members_are_told(
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


async def test_config_change_on_node_leave_is_seen_as_procdown(patient_cluster: CorosyncCluster) -> None:
    """A daemon that is terminated takes leave for its members, who are told of the loss; the others go on."""
    async with watching(patient_cluster, nodes=(1, 2)) as watchers, patient_cluster.node(3).connect() as cpg:
        group = await cpg.join(GROUP)
        for node in (1, 2):
            assert (await watchers.next(node)).joined == {group.me: Reason.JOIN}
        events = group.events()
        patient_cluster.node(3).terminate()
        for node in (1, 2):
            view = await watchers.next(node)
            assert (view.left, view.joined) == ({group.me: Reason.PROCDOWN}, {})
        with pytest.raises(ConnectionLostError), anyio.fail_after(PATIENCE):
            while True:
                await anext(events)
        await all_talk(watchers)


async def test_config_change_on_node_restart_is_seen_as_nodedown_and_join(fresh_cluster: CorosyncCluster) -> None:
    """A node that crashed and is back has no members; one that joins there is new, and no view shows it as returned."""
    async with watching(fresh_cluster) as watchers:
        gone = watchers.groups[3].me
        fresh_cluster.node(3).kill()
        await watchers.lost(3)
        for node in (1, 2):
            assert (await watchers.next(node)).left == {gone: Reason.NODEDOWN}
        await fresh_cluster.node(3).until_gone()
        fresh_cluster.node(3).start()
        await fresh_cluster.until_formed()
        await watchers.join(3)
        for node in NODES:
            assert watchers.groups[node].view.joined == {watchers.groups[3].me: Reason.JOIN}
        await all_talk(watchers)


async def test_config_change_on_lowest_node_join_is_seen_by_all(patient_cluster: CorosyncCluster) -> None:
    """The node with the lowest number represents the new ring, and a member there is the first of the list at once."""
    patient_cluster.node(1).terminate()
    await patient_cluster.until_formed({2, 3})
    async with watching(patient_cluster, nodes=(2, 3)) as watchers:
        assert watchers.groups[2].view.ring_id.nodeid == 2
        await patient_cluster.node(1).until_gone()
        patient_cluster.node(1).start()
        await patient_cluster.until_formed()
        await watchers.join(1)
        lowest = watchers.groups[1].me
        for node in NODES:
            view = watchers.groups[node].view
            assert (view.joined, view.members[0], view.ring_id.nodeid) == ({lowest: Reason.JOIN}, lowest, 1)
        await all_talk(watchers)
