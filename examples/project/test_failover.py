"""A service as a process on two of its nodes; the daemon under one of them crashes."""

import subprocess
import sys

import pytest

from aiocpg.testing import CorosyncCluster

SERVICE = """
import asyncio, aiocpg

async def main():
    async with aiocpg.connect() as cpg, cpg.join("service") as group:
        async for view in group.views():
            print(*(member.nodeid for member in view.members), flush=True)

asyncio.run(main())
"""


@pytest.mark.corosync(nodes=2)
def test_survivor_sees_the_crash(corosync_cluster: CorosyncCluster) -> None:
    start = [sys.executable, "-c", SERVICE]
    with (
        corosync_cluster.node(1).spawn(start, stdout=subprocess.PIPE, text=True) as first,
        corosync_cluster.node(2).spawn(start, stderr=subprocess.DEVNULL) as second,
    ):
        while first.stdout.readline() != "1 2\n":
            pass
        corosync_cluster.node(2).kill()
        assert first.stdout.readline() == "1\n"
        assert second.wait(30) != 0
        first.kill()
