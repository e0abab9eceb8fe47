"""A test of one's own on a real cluster, without a plugin for async tests: ``pytest examples/test_partition.py``."""

from __future__ import annotations

import asyncio

import aiocpg
from aiocpg.testing import CorosyncCluster


def test_partition_is_seen_and_heals(corosync_cluster: CorosyncCluster) -> None:
    """A member that is cut off is alone in its view, and comes back when the network does."""

    async def play() -> None:
        async with (
            corosync_cluster.node(1).connect() as near,
            corosync_cluster.node(3).connect() as far,
            near.join("orders") as here,
            far.join("orders") as there,
        ):
            views = here.views()
            await until(views, {here.me, there.me})
            corosync_cluster.partition({1, 2}, {3})
            gone = await until(views, {here.me})
            assert gone.left == {there.me: aiocpg.Reason.NODEDOWN}
            corosync_cluster.heal()
            back = await until(views, {here.me, there.me})
            assert back.joined == {there.me: aiocpg.Reason.NODEUP}

    asyncio.run(asyncio.wait_for(play(), 30))


async def until(views: aiocpg.Stream[aiocpg.View], members: set[aiocpg.Address]) -> aiocpg.View:
    """Read on until exactly these are members."""
    async for view in views:
        if set(view.members) == members:
            return view
    raise AssertionError("the group was left")
