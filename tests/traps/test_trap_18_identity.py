"""Trap 18: a process joins a group once, and the address of a member is not the member."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import Address, AlreadyJoinedError, Reason, Stream, View
from aiocpg.testing import ClusterNode
from traps.child import naive, ours

pytestmark = pytest.mark.anyio


async def test_second_join_is_refused_at_once(fresh_node: ClusterNode) -> None:
    """libcpg says EXIST; ours says what to do, and the one group serves any number of readers."""
    with naive(fresh_node, "trap_18_twice") as wrapper:
        assert await wrapper.says("status") == "CS_ERR_EXIST"

    async with fresh_node.connect() as cpg, fresh_node.connect() as another, cpg.join("group") as group:
        fresh_node.stop()  # "at once" means without asking the daemon
        for connection in (cpg, another):
            with anyio.fail_after(30), pytest.raises(AlreadyJoinedError, match="share that Group object"):
                await connection.join(b"group")
        fresh_node.cont()
        first, second = group.messages(), group.messages()
        await group.mcast(b"to both")
        assert [(await anext(reader)).data for reader in (first, second)] == [b"to both"] * 2


async def test_member_that_came_back_is_a_new_one(fresh_node: ClusterNode) -> None:
    """Who compares addresses misses a return under the same pid; our views tell of departure and return."""
    with ours(fresh_node, "trap_18_returns") as member:
        await member.says("member")
        with naive(fresh_node, "trap_18_twice") as wrapper:
            assert await wrapper.says("known") == "2"
            async with fresh_node.connect() as cpg, cpg.join("group") as group:
                views = group.views()
                assert Address(1, member.pid) in (await anext(views)).stayed
                member.tell("return")
                await member.says("member")
                wrapper.tell("look")
                assert await wrapper.says("new") == str(group.me)
                away, back = await next_view(views), await next_view(views)
                assert dict(away.left) == {Address(1, member.pid): Reason.LEAVE}
                assert dict(back.joined) == {Address(1, member.pid): Reason.JOIN}
                assert back.stayed == tuple(who for who in back.members if who.pid != member.pid)


async def next_view(views: Stream[View]) -> View:
    with anyio.fail_after(30):
        return await anext(views)
