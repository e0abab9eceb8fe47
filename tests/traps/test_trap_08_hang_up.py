"""Trap 8: after the daemon's death the descriptor stays readable for ever, and what was not dispatched is lost."""

from __future__ import annotations

import time

import anyio
import pytest

from aiocpg import ConnectionLostError, Group, Message, Stream
from aiocpg.testing import ClusterNode
from traps.child import BURNT_SECONDS, naive, ticking

pytestmark = pytest.mark.anyio


async def test_loss_ends_the_readers_and_burns_nothing_when_the_daemon_dies(fresh_node: ClusterNode) -> None:
    """The naive reader is called in a busy loop; ours hands out what had come, raises, and is quiet."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group, ticking() as ticker:
        with naive(fresh_node, "trap_08_hang_up") as wrapper:
            await wrapper.says("member")
            reader, late = group.messages(), group.messages()
            await group.mcast_confirmed(b"last")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(expect_loss, reader)
                tasks.start_soon(expect_loss_of_calls, group)
                fresh_node.kill()
            before = time.process_time()
            await ticker.advances(50)  # and not: while the other burns so much, which may take long
            assert time.process_time() - before < BURNT_SECONDS / 2
            await wrapper.spins()
            wrapper.tell("go")
            assert int(await wrapper.says("errors")) > 1000
        await expect_loss(late)
        await ticker.advances()


async def expect_loss(reader: Stream[Message]) -> None:
    """Read what had come, and then the loss; again and again the same."""
    with anyio.fail_after(30):
        assert (await anext(reader)).data == b"last"
        for _ in range(3):
            with pytest.raises(ConnectionLostError):
                await anext(reader)


async def expect_loss_of_calls(group: Group) -> None:
    """Everything that waits is told."""
    with anyio.fail_after(30), pytest.raises(ConnectionLostError):
        while True:
            await group.mcast_confirmed(b"and on")
