"""Groups and connections that come and go leave nothing behind, however often."""

from __future__ import annotations

import pytest

from aiocpg.testing import ClusterNode
from faults.cycling import Footprint, cycle, sessions
from faults.watching import Measured
from support.loops import BACKENDS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

CYCLES = 100


@pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())
async def test_counts_are_where_they_were_when_groups_were_joined_and_left_many_times(
    node: ClusterNode, measured: Measured
) -> None:
    """Tasks, threads, descriptors and shared files are as many after a hundred memberships as after ten."""
    async with node.connect() as cpg:
        await cycle(cpg, 10)
        before = Footprint(node)
        await cycle(cpg, CYCLES)
        after = await before.settled(node)
    measured("memory more", (after.memory - before.memory) / 1024, "KiB")
    measured("memory of corosync more", (after.daemon - before.daemon) / 1024, "KiB")
    assert not after.more_than(before)


@pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())
async def test_counts_are_where_they_were_when_connections_were_opened_and_closed_many_times(
    node: ClusterNode, measured: Measured
) -> None:
    """What a hundred sessions took, here and in the daemon, is given back."""
    await sessions(node, 10)
    before = Footprint(node)
    await sessions(node, CYCLES)
    after = await before.settled(node)
    measured("memory of corosync more", (after.daemon - before.daemon) / 1024, "KiB")
    assert not after.more_than(before)
