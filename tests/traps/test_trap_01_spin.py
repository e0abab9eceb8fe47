"""Trap 1: ``cpg_mcast_joined`` spins inside C, for ever, once the daemon does not read."""

from __future__ import annotations

import time

import anyio
import pytest

from aiocpg import Group
from aiocpg.testing import ClusterNode
from traps.child import BURNT_SECONDS, naive, ticking

pytestmark = pytest.mark.anyio

MESSAGES = [b"%d" % number for number in range(1000)]


async def test_mcast_waits_without_spinning_when_the_daemon_is_stopped(fresh_node: ClusterNode) -> None:
    """The naive loop is deaf and burns a core at the 279th send; ours goes on, and all messages arrive afterwards."""
    with naive(fresh_node, "trap_01_mcast_on_the_loop") as wrapper:
        await wrapper.says("member")
        await wrapper.answers()
        fresh_node.stop()
        wrapper.tell("go")
        await wrapper.says("sent")
        await wrapper.spins()
        assert await wrapper.is_deaf()
        assert 0 < len(wrapper.said) < len(MESSAGES)
        fresh_node.cont()

    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        fresh_node.stop()
        before = time.process_time()
        async with ticking() as ticker, anyio.create_task_group() as tasks:
            tasks.start_soon(send_all, group)
            await ticker.advances(100)
            assert time.process_time() - before < BURNT_SECONDS
            fresh_node.cont()
            assert [(await anext(messages)).data for _ in MESSAGES] == MESSAGES


async def send_all(group: Group) -> None:
    for message in MESSAGES:
        await group.mcast(message)
