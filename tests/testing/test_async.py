"""Clusters from coroutines: the loop runs on, and cancelling leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest

from aiocpg.testing import ClusterError, CorosyncCluster
from testing.looking import daemon_pid, ends

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def ticking() -> AsyncIterator[Callable[[], int]]:
    """Count the turns of the loop."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            await anyio.sleep(0.001)
            turns += 1

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(tick)
        yield lambda: turns
        tasks.cancel_scope.cancel()


async def test_the_loop_runs_on_while_a_cluster_lives_and_breaks() -> None:
    """Starting, every wait, and closing leave other tasks their turns."""
    async with ticking() as turns:
        async with CorosyncCluster(nodes=2) as cluster:
            assert turns() > 3
            cluster.node(2).kill()
            await cluster.node(2).until_gone()
            await cluster.until_formed({1})
            cluster.node(2).start()
            await cluster.node(2).until_ready()
            await cluster.node(2).until_members(1, 2)
            await cluster.until_restored()
            pids = [daemon_pid(node) for node in cluster.nodes]
            before = turns()
        assert turns() > before
    assert [pid for pid in pids if not ends(pid)] == []


@pytest.mark.parametrize("seconds", [0, 0.05, 0.3])
async def test_nothing_is_left_when_a_start_is_cancelled(seconds: float) -> None:
    """Whether it is making nodes at that moment, or waiting for their ring."""
    children = set(os.listdir("/proc"))
    cluster = CorosyncCluster(nodes=3)
    with anyio.move_on_after(seconds) as scope:
        async with cluster:
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    assert cluster.nodes == ()
    assert [pid for pid in set(os.listdir("/proc")) - children if pid.isdigit() and is_ours(int(pid))] == []


def is_ours(pid: int) -> bool:
    """Whether it is a keeper or a daemon that this process has not seen the end of."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[1]) == os.getpid()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("wait", ["until_gone", "until_members", "until_formed", "until_restored"])
async def test_a_wait_ends_at_once_when_cancelled(wait: str) -> None:
    """And the cluster is as it was: the same wait may be begun again."""
    async with CorosyncCluster(nodes=2) as cluster:
        if wait == "until_restored":
            cluster.node(1).kill()
        waits = {
            "until_gone": cluster.node(1).until_gone,
            "until_members": lambda: cluster.node(1).until_members(1),
            "until_formed": lambda: cluster.until_formed({1}),
            "until_restored": cluster.until_restored,
        }
        for _ in range(2):
            with anyio.move_on_after(0.02) as scope:
                await waits[wait]()
            assert scope.cancelled_caught or wait == "until_restored"
        await cluster.until_restored()


async def test_a_cluster_is_entered_once() -> None:
    """A second time would be a second cluster under one name; the first lives on."""
    async with CorosyncCluster(nodes=1) as cluster:
        with pytest.raises(ClusterError, match="started already"):
            async with cluster:
                pass
        await cluster.node(1).until_ready()
        assert cluster.node(1).members == (1,)
