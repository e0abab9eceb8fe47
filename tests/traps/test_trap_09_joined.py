"""Trap 9: ``cpg_join`` returns before one is a member, and after a quick restart it refuses for a while."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from aiocpg import Reason
from aiocpg.testing import ClusterNode, CorosyncCluster
from traps.child import naive, ticking

pytestmark = pytest.mark.anyio


async def test_join_returns_when_the_group_has_seen_it(fresh_cluster: CorosyncCluster) -> None:
    """With the ring broken libcpg says OK to a join that nobody sees; ours wait until we are members."""
    node = fresh_cluster.node(1)
    async with node.connect() as cpg, ticking() as ticker:
        with naive(node, "trap_09_join_returned") as wrapper:
            fresh_cluster.partition({1})
            wrapper.tell("go")
            assert await wrapper.says("members") == "0"
            wrapper.tell("go")
            assert await wrapper.says("status") == "CS_ERR_EXIST"
        fresh_cluster.heal()
        await anyio.to_thread.run_sync(fresh_cluster.wait_formed)

        fresh_cluster.partition({1})
        with anyio.fail_after(30):
            group = await cpg.join("group")
        assert group.members == (group.me,)
        assert dict(group.view.joined) == {group.me: Reason.JOIN}
        await ticker.advances()
        await group.leave()


async def test_cancelled_join_leaves_nothing_behind(fresh_cluster: CorosyncCluster) -> None:
    """A join is given up while the ring is broken; the next one, made at once, waits until that is through."""
    node = fresh_cluster.node(1)
    async with node.connect() as cpg, cpg.join("other") as other:
        fresh_cluster.partition({1})
        await other.mcast(b"unseen")
        with anyio.move_on_after(0.1) as patience:
            await cpg.join("group")
        with anyio.fail_after(30):
            async with cpg.join("group") as group:
                assert group.members == (group.me,)
                assert (await group.mcast_confirmed(b"in")).view.joined == {group.me: Reason.JOIN}
        assert patience.cancelled_caught
        assert await cpg.members("group") == ()


async def test_join_comes_through_right_after_an_end_without_leave(fresh_node: ClusterNode) -> None:
    """While its end goes round the same process is refused; ours tries until it is in."""
    with naive(fresh_node, "trap_09_restart") as wrapper:
        assert await wrapper.says("status") in {"CS_ERR_EXIST", "CS_ERR_TRY_AGAIN"}

    async with fresh_node.connect() as cpg:
        for _ in range(20):
            group = await cpg.join("group")
            with anyio.CancelScope() as scope:
                scope.cancel()
                await group.leave()
            assert scope.cancelled_caught
        async with cpg.join("group") as group:
            assert group.members == (group.me,)
