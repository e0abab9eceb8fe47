"""Trap 7: TRY_AGAIN lasts as long as a membership change or a stall does, and after a crash for ever."""

from __future__ import annotations

import time

import anyio
import anyio.to_thread
import pytest

from aiocpg import ConnectionLostError, Group
from aiocpg.testing import ClusterNode, CorosyncCluster
from traps.child import ATTEMPTS, BURNT_SECONDS, Child, naive, ticking, until

pytestmark = pytest.mark.anyio

MESSAGES = [bytes([number]) * 60_000 for number in range(200)]


async def test_send_outlasts_a_ring_change(fresh_cluster: CorosyncCluster) -> None:
    """A hundred naive tries are over before the new ring is there; ours wait for it, and nothing is lost or doubled."""
    node = fresh_cluster.node(1)
    for _ in range(ATTEMPTS):
        if (status := await status_of_naive(fresh_cluster)) != "CS_OK":
            break
    assert status == "CS_ERR_TRY_AGAIN"

    async with node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        fresh_cluster.partition({1})
        async with ticking() as ticker, anyio.create_task_group() as tasks:
            tasks.start_soon(group.mcast_many, MESSAGES)
            await ticker.advances()
            with anyio.fail_after(30):
                assert [(await anext(messages)).data for _ in MESSAGES] == MESSAGES


async def status_of_naive(cluster: CorosyncCluster) -> str:
    """Have a naive program on node 1 send while the ring is broken; return what came of it."""
    with naive(cluster.node(1), "trap_07_retries", "hundred") as wrapper:
        await wrapper.says("member")
        cluster.partition({1})
        wrapper.tell("go")
        await until(lambda: wrapper.has_said("status") or wrapper.has_said("sent"))
        status = await wrapper.says("status") if wrapper.has_said("status") else "CS_OK"
        cluster.heal()
        await anyio.to_thread.run_sync(cluster.wait_formed)
        return status


async def test_send_outlasts_a_stalled_daemon(fresh_node: ClusterNode) -> None:
    """A hundred naive tries are over while the daemon stalls; ours wait, without burning CPU, until it goes on."""
    with naive(fresh_node, "trap_07_retries", "hundred") as wrapper:
        await wrapper.says("member")
        fresh_node.stop()
        wrapper.tell("go")
        assert await wrapper.says("status") == "CS_ERR_TRY_AGAIN"
        fresh_node.cont()

    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        fresh_node.stop()
        before = time.process_time()
        async with ticking() as ticker, anyio.create_task_group() as tasks:
            tasks.start_soon(group.mcast_many, MESSAGES)
            await ticker.advances(100)
            assert time.process_time() - before < BURNT_SECONDS
            fresh_node.cont()
            with anyio.fail_after(30):
                assert [(await anext(messages)).data for _ in MESSAGES] == MESSAGES


async def test_send_ends_when_the_daemon_crashes_while_congested(fresh_node: ClusterNode) -> None:
    """Endless naive tries never see the crash; ours end with the loss."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group:
        with naive(fresh_node, "trap_07_retries", "endless") as wrapper:
            await wrapper.says("member")
            fresh_node.stop()
            wrapper.tell("go")
            await wrapper.says("again")
            async with ticking() as ticker, anyio.create_task_group() as tasks:
                tasks.start_soon(expect_loss, group)
                await ticker.advances()
                fresh_node.kill()
                fresh_node.wait_gone()
            await tries_on(wrapper)
            assert wrapper.process.poll() is None


async def expect_loss(group: Group) -> None:
    with anyio.fail_after(30), pytest.raises(ConnectionLostError):
        await group.mcast_many(MESSAGES)


async def tries_on(wrapper: Child) -> None:
    """Wait for another hundred tries."""
    goal = len(wrapper.said) + 100
    await until(lambda: len(wrapper.said) >= goal)
