"""Trap 3: a handle never recovers from its leave."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import ConfigurationChange, Event, Group, Reason, View
from aiocpg.testing import ClusterNode
from traps.child import naive

pytestmark = pytest.mark.anyio


async def test_group_is_joined_again_after_a_leave(fresh_node: ClusterNode) -> None:
    """The left naive handle goes on delivering, is refused, and spins; ours ends, and joins whatever it likes."""
    async with fresh_node.connect() as cpg:
        with naive(fresh_node, "trap_03_rejoin") as same, naive(fresh_node, "trap_03_rejoin") as other:
            await same.says("left")
            await other.says("left")
            async with cpg.join("group") as group:
                await group.mcast(b"after")
                assert [await same.says("got"), await other.says("got")] == ["after", "after"]
            same.tell("group")
            assert await same.says("status") == "CS_ERR_EXIST"
            other.tell("elsewhere")
            await other.spins()
            assert await other.is_deaf()

        for name in ("group", "group", "elsewhere"):
            events = await events_of(await cpg.join(name))
            departure, last = events[-2:]
            assert isinstance(departure, ConfigurationChange)
            assert isinstance(last, View)
            assert list(last.left.values()) == [Reason.LEAVE]


async def events_of(group: Group) -> list[Event]:
    """Leave at once, and return all that came."""
    events = group.events()
    with anyio.fail_after(30):
        await group.leave()
        return [event async for event in events]
