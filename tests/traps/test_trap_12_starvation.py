"""Trap 12: ``CS_DISPATCH_ALL`` goes on as long as there is something, and the loop stands still meanwhile."""

from __future__ import annotations

import signal

import anyio
import pytest

from aiocpg import Group
from aiocpg.testing import ClusterNode
from traps.child import Child, naive, ours

pytestmark = pytest.mark.anyio

FLOOD = 30_000
MOST_PER_TURN = 256


async def test_flood_does_not_starve_the_loop(fresh_node: ClusterNode) -> None:
    """A backlog is taken by the naive reader in one go; by ours in portions of 256 events, with the loop in between."""
    async with fresh_node.connect() as cpg, cpg.join("group", max_buffered_bytes=0) as group:
        with naive(fresh_node, "trap_12_dispatch_all") as wrapper:
            assert await longest_go(wrapper, group) > 10 * MOST_PER_TURN
        with ours(fresh_node, "trap_12_flood") as program:
            # A reader may come round in every second turn only.
            assert await longest_go(program, group) <= 2 * MOST_PER_TURN


async def longest_go(reader: Child, group: Group) -> int:
    """Let a backlog pile up for the reader while it is stopped, and hear how it took it."""
    await reader.says("member")
    reader.process.send_signal(signal.SIGSTOP)
    with anyio.fail_after(30):
        await group.mcast_many([b"flood"] * FLOOD)
        await group.mcast_confirmed(b"last")
    reader.process.send_signal(signal.SIGCONT)
    return int(await reader.says("longest"))
