"""Trap 4: ``CS_OK`` from ``cpg_mcast_joined`` means "copied to a ring", and the message may be dropped in silence."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

from aiocpg import Group, GroupClosedError, Message, View
from aiocpg.testing import ClusterNode
from traps.child import Child, naive, ours

pytestmark = pytest.mark.anyio

ALL = [b"%d" % number for number in range(50)]


@pytest.fixture
async def group(fresh_node: ClusterNode) -> AsyncIterator[Group]:
    """Somebody to whom the messages should come."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group:
        yield group


async def test_send_is_refused_when_this_side_is_no_member(fresh_node: ClusterNode, group: Group) -> None:
    """What libcpg takes before the join and after the leave is lost; ours sends from the join on, then refuses."""
    with naive(fresh_node, "trap_04_not_joined") as wrapper:
        await wrapper.says("sent")
        await wrapper.says("sent")
        await wrapper.ends_well()
        assert await messages_until_departure(group, wrapper.pid) == [b"between"]

    async with fresh_node.connect() as cpg:
        async with cpg.join("other") as other:
            receipt = await other.mcast_confirmed(b"first")
            assert receipt.position == 1
        with pytest.raises(GroupClosedError):
            await other.mcast(b"after")


async def test_messages_arrive_when_the_program_ends_right_after_sending(fresh_node: ClusterNode, group: Group) -> None:
    """A stalled daemon drops all of a naive program's last messages; ours waits for its own departure behind them."""
    with naive(fresh_node, "trap_04_exit") as wrapper:
        await send_to_stopped(fresh_node, wrapper)
        await wrapper.ends_well()
        fresh_node.cont()
        assert await messages_until_departure(group, wrapper.pid) == []

    with ours(fresh_node, "trap_04_exit") as program:
        await send_to_stopped(fresh_node, program)
        fresh_node.cont()
        assert await messages_until_departure(group, program.pid) == ALL
        await program.ends_well()


async def send_to_stopped(node: ClusterNode, program: Child) -> None:
    await program.says("member")
    node.stop()
    program.tell("go")
    await program.says("sent")


async def messages_until_departure(group: Group, pid: int) -> list[bytes]:
    """Return what has come from a process when it is gone."""
    got: list[bytes] = []
    with anyio.fail_after(30):
        async for event in group:
            if isinstance(event, Message) and event.sender.pid == pid:
                got.append(event.data)
            elif isinstance(event, View) and any(address.pid == pid for address in event.left):
                return got
    raise AssertionError("the group ended")
