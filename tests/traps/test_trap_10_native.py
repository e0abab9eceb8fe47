"""Trap 10: above max_atomic libcpg sends fragments; a change interrupts them, a death has it invent its answer."""

from __future__ import annotations

import threading

import anyio
import pytest

from aiocpg import ConnectionLostError, Group, MessageTooBigError
from aiocpg.testing import ClusterNode
from support.handles import wait_until
from traps.child import ATTEMPTS, naive, ours, ticking, until

pytestmark = pytest.mark.anyio

LARGE = 50_000_000
LIMIT = 1_047_552


async def test_large_message_is_refused_unless_asked_for(fresh_node: ClusterNode) -> None:
    """Nothing above max_atomic goes out by accident: it is refused at once, and nothing of it is sent."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        assert cpg.max_message_size == LIMIT
        for send in (group.mcast, group.mcast_confirmed):
            with pytest.raises(MessageTooBigError, match=str(LIMIT)):
                await send(bytes(LIMIT), b"1")
        with pytest.raises(MessageTooBigError, match="message 1 of the batch"):
            await group.mcast_many([b"0", bytes(LIMIT + 1)])
        assert (await group.mcast_confirmed(b"next")).position == 1
        assert (await anext(messages)).data == b"next"


async def test_native_message_arrives_when_members_come_and_go(fresh_node: ClusterNode) -> None:
    """A change between its fragments ends the naive send; ours is sent again until it is whole, and arrives once."""
    for _ in range(ATTEMPTS):  # nobody may come in the part of a second that one takes
        with naive(fresh_node, "trap_10_native", LARGE) as wrapper, ours(fresh_node, "come_and_go") as other:
            await wrapper.says("member")
            await other.says("round")
            wrapper.tell("go")
            if (status := await wrapper.says("status")) != "CS_OK":
                break
    assert status == "CS_ERR_INTERRUPT"

    async with (
        fresh_node.connect() as cpg,
        cpg.join("group") as group,
        group.messages() as messages,
        ticking() as ticker,
    ):
        async with anyio.create_task_group() as tasks:
            with ours(fresh_node, "come_and_go") as other:
                await other.says("round")
                tasks.start_soon(send_natively, group)
                for _ in range(10):
                    await other.says("round")
                await ticker.advances()
        await group.mcast_confirmed(b"end")
        assert [len((await anext(messages)).data) for _ in range(2)] == [LARGE, 3]


async def send_natively(group: Group) -> None:
    with anyio.fail_after(30):
        await group.mcast(bytes(LARGE), native=True)


async def test_native_send_ends_with_the_loss_when_the_daemon_dies(fresh_node: ClusterNode) -> None:
    """libcpg answers a naive sender with garbage; ours looks at the descriptor, and tells of the loss."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group:
        with naive(fresh_node, "trap_10_native", 3 * LIMIT) as wrapper:
            await wrapper.says("member")
            fresh_node.stop()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(expect_loss, group)
                await until(lambda: "aiocpg-mcast" in [thread.name for thread in threading.enumerate()])
                wrapper.tell("go")
                await wrapper.says("sending")
                fresh_node.kill()
                # The loop stands still until libcpg has answered both, so that its answer comes before the hang-up.
                wait_until(lambda: wrapper.has_said("status"))
            assert await wrapper.says("status") != "CS_ERR_LIBRARY"


async def expect_loss(group: Group) -> None:
    with anyio.fail_after(30), pytest.raises(ConnectionLostError):
        await group.mcast(bytes(3 * LIMIT), native=True)
