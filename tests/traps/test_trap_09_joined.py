"""Trap 9: ``cpg_join`` returns before one is a member, and after a quick restart it refuses for a while."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from aiocpg import Reason
from aiocpg.testing import ClusterNode, CorosyncCluster
from traps.child import ATTEMPTS, naive, ticking

pytestmark = pytest.mark.anyio


async def test_join_returns_when_the_group_has_seen_it(fresh_cluster: CorosyncCluster) -> None:
    """With the ring broken libcpg says OK to a join that nobody sees; ours wait until we are members."""
    node = fresh_cluster.node(1)
    async with node.connect() as cpg, ticking() as ticker:
        for _ in range(ATTEMPTS):
            members, status = await what_naive_joins_say(fresh_cluster)
            if members == "0":
                break
        assert (members, status) == ("0", "CS_ERR_EXIST")

        fresh_cluster.partition({1})
        with anyio.fail_after(30):
            group = await cpg.join("group")
        assert group.members == (group.me,)
        assert dict(group.view.joined) == {group.me: Reason.JOIN}
        await ticker.advances()
        await group.leave()


async def what_naive_joins_say(cluster: CorosyncCluster) -> tuple[str, str]:
    """Have a naive program on node 1 join twice while the ring is broken; return the members, and the second status."""
    with naive(cluster.node(1), "trap_09_join_returned") as wrapper:
        cluster.partition({1})
        wrapper.tell("go")
        members = await wrapper.says("members")
        wrapper.tell("go")
        status = await wrapper.says("status")
        cluster.heal()
        await anyio.to_thread.run_sync(cluster.wait_formed)
        return members, status


async def test_cancelled_join_leaves_nothing_behind(fresh_cluster: CorosyncCluster) -> None:
    """A join is given up while the ring is broken; the next one, made at once, waits until that is through."""
    node = fresh_cluster.node(1)
    async with node.connect() as cpg, cpg.join("other") as other:
        for _ in range(ATTEMPTS):
            fresh_cluster.partition({1})
            await other.mcast(b"unseen")
            with anyio.move_on_after(0.1) as patience:
                await (await cpg.join("group")).leave()
            if patience.cancelled_caught:
                break
            fresh_cluster.heal()  # the new ring was there before the join
            await anyio.to_thread.run_sync(fresh_cluster.wait_formed)
        assert patience.cancelled_caught
        with anyio.fail_after(30):
            async with cpg.join("group") as group:
                assert group.members == (group.me,)
                assert (await group.mcast_confirmed(b"in")).view.joined == {group.me: Reason.JOIN}
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
