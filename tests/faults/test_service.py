"""The service comes and goes, on all nodes at once or one by one, with members there; and one order while it stays."""

from __future__ import annotations

import pytest

from aiocpg import Reason
from aiocpg.testing import ClusterNode, CorosyncCluster
from faults.walk.checker import check
from faults.walk.schedule import Step
from faults.walk.walking import Walk
from faults.watchers import NODES, all_talk, watching

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed


async def test_message_order_basic_is_one_for_all_when_all_send(cluster: CorosyncCluster) -> None:
    """Three members send at once, single, confirmed and many, of all sizes; each has all, in one order, unexcused."""
    calm = [Step("traffic", sides=(NODES,), count=500)]
    summary = check(await Walk(cluster, seed=1, steps=calm).run())
    assert summary.messages >= 3 * 3 * 500
    assert (summary.rings, summary.shared, summary.merges) == (1, 0, 0)


async def test_members_are_told_when_all_daemons_stop_at_once(patient_cluster: CorosyncCluster) -> None:
    """Simultaneous stop and start: each member loses its daemon, and all are together again on the new ring."""
    async with watching(patient_cluster) as watchers:
        for node in patient_cluster.nodes:
            node.terminate()
        await watchers.lost(*NODES)
        for node in patient_cluster.nodes:
            await node.until_gone()
        for node in patient_cluster.nodes:
            node.start()
        await patient_cluster.until_formed()
        await watchers.join(*NODES)
        await all_talk(watchers)


async def test_members_see_each_go_and_come_when_daemons_stop_and_start_one_by_one(
    patient_cluster: CorosyncCluster,
) -> None:
    """One-by-one stop and start: who is left sees PROCDOWN each time, and JOIN each time."""
    async with watching(patient_cluster) as watchers:
        left = list(NODES)
        for node in (2, 3):
            left.remove(node)
            gone = watchers.groups[node].me
            patient_cluster.node(node).terminate()
            await watchers.lost(node)
            for other in left:
                assert (await watchers.next(other)).left == {gone: Reason.PROCDOWN}
            await patient_cluster.until_formed(left)  # or the next is gone before it could take leave
        for node in (2, 3):
            await restarted(patient_cluster.node(node))
            await patient_cluster.until_formed(range(1, node + 1))  # or its member comes with it, by NODEUP
            await watchers.join(node)
            assert watchers.groups[1].view.joined == {watchers.groups[node].me: Reason.JOIN}
        await all_talk(watchers)


async def test_members_are_together_when_daemons_restart_one_by_one(patient_cluster: CorosyncCluster) -> None:
    """One-by-one restart, as in an update: the group never ends, and everybody is new in it afterwards."""
    async with watching(patient_cluster) as watchers:
        for node in NODES:
            patient_cluster.node(node).terminate()
            await watchers.lost(node)
            await restarted(patient_cluster.node(node))
            await patient_cluster.until_formed()
            await watchers.join(node)
        assert set(watchers.groups[1].members) == watchers.of(*NODES)
        await all_talk(watchers)


async def restarted(node: ClusterNode) -> None:
    """Start a daemon that is on its way out, and wait until it serves."""
    await node.until_gone()
    node.start()
    await node.until_ready()
