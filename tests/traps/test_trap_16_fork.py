"""Trap 16: a forked child shares the connection: it can end the parent's membership, or keep it alive after it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio
import pytest

from aiocpg import Address, Group, Reason, Stream, View
from aiocpg.testing import ClusterNode
from traps.child import naive, ours, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def observer(fresh_node: ClusterNode) -> AsyncIterator[Group]:
    """Somebody who sees the others come and go."""
    async with fresh_node.connect() as cpg, cpg.join("group") as group:
        yield group


async def test_membership_is_the_parents_alone_after_a_fork(fresh_node: ClusterNode, observer: Group) -> None:
    """A naive child ends its parent's membership, or prolongs it; of ours the child is refused, and holds nothing."""
    views = observer.views()
    with naive(fresh_node, "trap_16_fork", "tidy") as wrapper:
        await wrapper.says("forked")
        assert await wrapper.says("status") == "CS_ERR_LIBRARY"
        assert wrapper.process.poll() is None
        await departure(views, wrapper.pid)

    with naive(fresh_node, "trap_16_fork", "outlive") as wrapper, ended(int(await wrapper.says("forked"))):
        wrapper.tell("end")
        await until(lambda: wrapper.process.poll() is not None)
        await observer.mcast_confirmed(b"after the end")
        assert Address(1, wrapper.pid) in observer.members
    await departure(views, wrapper.pid)

    with ours(fresh_node, "trap_16_fork") as program, ended(int(await program.says("forked"))):
        assert await program.says("refused") == "3"
        program.tell("go")
        await program.says("confirmed")
        program.tell("end")
        await until(lambda: program.process.poll() is not None)
        assert await departure(views, program.pid) is Reason.PROCDOWN


async def departure(views: Stream[View], pid: int) -> Reason:
    """Wait until a process has gone, and return why."""
    with anyio.fail_after(30):
        async for view in views:
            if Address(1, pid) in view.left:
                return view.left[Address(1, pid)]
    raise AssertionError("the group ended")


@contextmanager
def ended(pid: int) -> Iterator[None]:
    """End a grandchild with the block."""
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
