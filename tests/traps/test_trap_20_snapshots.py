"""Trap 20, a fact: the daemon's answers are ahead of its events, and neither tells who is oldest."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest

from aiocpg import Connection, ConnectionLostError, lowlevel
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.handles import open_member, unread_events
from traps.child import naive, ours, ticking, until
from traps.page import says

pytestmark = pytest.mark.anyio


async def test_snapshot_is_ahead_of_the_stream(fresh_node: ClusterNode) -> None:
    """The daemon lists a newcomer that no event has told of; a message read later stands in the view before it."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        await group.mcast_confirmed(b"early")
        with (
            open_member(fresh_node, b"naive") as handle,
            ours(fresh_node, "trap_18_returns") as newcomer,
            naive(fresh_node, "trap_17_names", b"naive".hex()) as other,
        ):
            await newcomer.says("member")
            await other.says("status")
            await until(lambda: unread_events(handle))
            assert other.pid in {member.pid for member in lowlevel.membership_get(handle, "naive")}
            assert newcomer.pid in {member.pid for member in await cpg.members("group")}
            assert (await anext(messages)).view.members == (group.me,)

    assert "do not mix it with a stream" in " ".join((Connection.members.__doc__ or "").split())
    assert says("a snapshot is ahead of the stream")
    assert says("never wait for every member without a timeout")


async def test_member_list_is_sorted_and_not_by_age(patient_cluster: CorosyncCluster) -> None:
    """A newcomer with a lower address stands before its seniors; the docs say so."""
    async with AsyncExitStack() as stack:
        senior, newcomer = [
            await stack.enter_async_context((await stack.enter_async_context(node.connect())).join("group"))
            for node in (patient_cluster.node(3), patient_cluster.node(1))
        ]
        await until(lambda: senior.members == (newcomer.me, senior.me))
        assert newcomer.view.stayed == (senior.me,)
    assert says("sorted by address, not by age")


async def test_listing_can_be_given_up(fresh_node: ClusterNode) -> None:
    """An iteration that meets the daemon's death hangs for ever, out of reach; our listing ends with the loss."""
    async with fresh_node.connect() as cpg:
        with naive(fresh_node, "trap_20_iteration") as wrapper:
            await wrapper.says("ready")
            fresh_node.stop()
            wrapper.tell("ask")
            await wrapper.says("asked")
            async with ticking() as ticker, anyio.create_task_group() as tasks:
                tasks.start_soon(expect_loss, cpg)
                await ticker.advances()
                fresh_node.kill()
            wrapper.tell("look")
            assert await wrapper.says("hangs") == "True"


async def expect_loss(cpg: Connection) -> None:
    with anyio.fail_after(30), pytest.raises(ConnectionLostError):
        await cpg.groups()
