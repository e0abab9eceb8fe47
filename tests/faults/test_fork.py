"""After a fork the child has nothing of the parent's groups but errors, and the parent notices nothing."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from aiocpg import Reason
from aiocpg.testing import ClusterNode
from faults import programs
from support.handles import ended, finish, heard

pytestmark = pytest.mark.anyio

on_both = pytest.mark.parametrize("loop", ["asyncio", "trio"])


@on_both
def test_child_gets_errors_and_the_parent_goes_on_when_a_process_forks_with_open_groups(
    node: ClusterNode, loop: str
) -> None:
    """Every call in the child is refused, closing there does nothing; the parent's traffic and view go on."""
    assert finish(programs.start(node, "forker", loop, "calls")) == "well\n"


@on_both
def test_child_is_a_member_of_its_own_when_it_connects_anew(node: ClusterNode, loop: str) -> None:
    """It joins the group of its parent with its own pid, and goes again."""
    assert finish(programs.start(node, "forker", loop, "anew")) == "well\n"


async def test_member_is_gone_when_it_is_killed_and_its_child_lives_on(node: ClusterNode) -> None:
    """The child does not hold the parent's membership: others see the parent go at once."""
    async with node.connect() as cpg, cpg.join(b"forked") as group:
        views = group.views()
        await anext(views)
        with ended(programs.start(node, "forker", "asyncio", "lingers")) as parent:
            await anyio.to_thread.run_sync(heard, parent, "forked")
            assert [address.pid for address in (await anext(views)).joined] == [parent.pid]
            parent.kill()
            with anyio.fail_after(30):
                left = (await anext(views)).left
            assert {address.pid: reason for address, reason in left.items()} == {parent.pid: Reason.PROCDOWN}
            assert parent.stdin is not None
            assert not parent.stdin.closed  # what the child waits for
