"""Trap 2: libcpg's calls with a reply wait for the daemon for ever, and so does ``cpg_initialize``."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import Connection
from aiocpg.testing import ClusterNode
from traps.child import DEAF_SECONDS, naive, ours, ticking

pytestmark = pytest.mark.anyio


async def test_join_can_be_timed_out_when_the_daemon_is_stopped(fresh_node: ClusterNode) -> None:
    """The naive loop is deaf and its timeout does not fire; ours goes on, and the join works once the daemon does."""
    with naive(fresh_node, "trap_02_join_on_the_loop") as wrapper:
        await wrapper.says("connected")
        await wrapper.answers()
        fresh_node.stop()
        wrapper.tell("go")
        await wrapper.says("joining")
        assert await wrapper.is_deaf()
        fresh_node.cont()

    async with fresh_node.connect() as cpg, ticking() as ticker:
        fresh_node.stop()
        with anyio.move_on_after(DEAF_SECONDS) as patience:
            await cpg.join("group")
        assert patience.cancelled_caught
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(join_and_leave, cpg)
            await ticker.advances()
            fresh_node.cont()


async def join_and_leave(cpg: Connection) -> None:
    async with cpg.join("group") as group:
        assert group.members == (group.me,)


async def test_program_can_end_when_a_call_is_stuck(fresh_node: ClusterNode) -> None:
    """A worker thread of the loop keeps the naive program from ending; ours ends with calls stuck in libcpg."""
    with naive(fresh_node, "trap_02_join_in_a_thread") as wrapper, ours(fresh_node, "trap_02_join") as program:
        await wrapper.says("connected")
        await program.says("connected")
        fresh_node.stop()
        wrapper.tell("go")
        program.tell("go")
        await wrapper.says("timeout")
        await program.says("timeout")
        assert await program.says("unavailable") == "True"
        await program.ends_well()
        assert wrapper.process.poll() is None
        fresh_node.cont()
        await wrapper.ends_well()
