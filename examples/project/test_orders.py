"""A test on three real nodes. It runs twice, on asyncio and on trio: that is anyio's plugin."""

import pytest

import aiocpg
from aiocpg.testing import CorosyncCluster


@pytest.mark.anyio
async def test_partition_is_seen_and_heals(corosync_cluster: CorosyncCluster) -> None:
    async with (
        corosync_cluster.node(1).connect() as near,
        corosync_cluster.node(3).connect() as far,
        near.join("orders") as here,
        far.join("orders"),
    ):
        views = here.views()
        await until(views, members=2)
        corosync_cluster.partition({1, 2}, {3})
        await until(views, members=1)
        corosync_cluster.heal()
        await until(views, members=2)


async def until(views: aiocpg.Stream[aiocpg.View], members: int) -> None:
    while len((await anext(views)).members) != members:
        pass
