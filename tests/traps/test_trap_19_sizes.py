"""Trap 19: sizes that libcpg takes on trust end the process, and sizes that it needs are not there."""

from __future__ import annotations

import signal
from contextlib import AsyncExitStack

import pytest

from aiocpg import EngineUnavailableError
from aiocpg.testing import ClusterNode, CorosyncCluster
from traps.child import naive, ours

pytestmark = pytest.mark.anyio

PIECES = 1000
CRASHES = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS}


async def test_message_may_have_any_number_of_pieces(fresh_node: ClusterNode) -> None:
    """More than 63 pieces end a naive process; ours go out as one message."""
    with naive(fresh_node, "trap_19_sizes", "pieces") as wrapper:
        assert await wrapper.says("status") == "1"
        assert await wrapper.ends() in CRASHES

    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        await group.mcast(*[b"x"] * PIECES)
        assert (await anext(messages)).data == b"x" * PIECES


async def test_small_stack_is_an_error_and_no_crash(fresh_node: ClusterNode) -> None:
    """libcpg takes 1 MiB of stack that a thread may not have; ours says so, at the connect and at the call."""
    with naive(fresh_node, "trap_19_sizes", "stack") as wrapper:
        await wrapper.says("joined")
        assert await wrapper.ends() in CRASHES

    with ours(fresh_node, "trap_19_small_stack") as program:
        assert "stack is too small" in await program.says("loop")
        assert "1.2 MiB of stack" in await program.says("call")
        await program.ends_well()


async def test_full_shared_memory_is_explained() -> None:
    """Each membership takes 3.1 MiB of /dev/shm. When there is no more, the error says so, and the others live on."""
    with CorosyncCluster(nodes=1, shm_size="32M") as cluster:
        async with AsyncExitStack() as stack:
            cpg = await stack.enter_async_context(cluster.node(1).connect())
            first = await stack.enter_async_context(cpg.join("first"))
            with pytest.raises(EngineUnavailableError, match="no space in /dev/shm") as caught:
                for number in range(20):
                    await stack.enter_async_context(cpg.join(f"group {number}"))
            assert caught.value.transient
            assert (await first.mcast_confirmed(b"alive")).position == 1
