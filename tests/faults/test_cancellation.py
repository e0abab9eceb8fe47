"""Calls that are cancelled at any moment keep their promises, and leave nothing behind."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import Connection
from aiocpg.testing import ClusterNode
from faults.cancelling import Campaign
from faults.watching import PATIENCE, Measured, repeat
from support.loops import BACKENDS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

SECONDS = 5

on_all_loops = pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())


@on_all_loops
async def test_nothing_is_lost_or_doubled_when_calls_are_cancelled_at_random(
    node: ClusterNode, measured: Measured
) -> None:
    """Senders, readers and members that come and go: what returned was done, what was cancelled was not."""
    async with node.connect() as cpg:
        campaign = Campaign(cpg, await cpg.join(b"campaign"), seed=1)
        await campaign.run(SECONDS)
        await all_gone(cpg)
    for (kind, returned), count in sorted(campaign.outcomes.items()):
        measured(f"{kind}, {'returned' if returned else 'cancelled'}", count, "times")
    campaign.check()
    campaign.check_variety()


async def all_gone(cpg: Connection) -> None:
    """Wait until the daemon has seen every member go, those of cancelled joins too."""
    with anyio.fail_after(PATIENCE):
        while any(b"comes and goes" in name for name in await cpg.groups()):
            pass


@on_all_loops
async def test_a_group_is_joined_again_at_once_when_a_join_was_cancelled(node: ClusterNode) -> None:
    """The daemon knows members by pid; what the cancelled join leaves behind must not end the next membership."""
    async with node.connect() as cpg, cpg.join(b"busy") as busy, anyio.create_task_group() as tasks:
        # Traffic holds up the delivery of the joins, so that more of them are cancelled between request and delivery.
        tasks.start_soon(repeat, lambda: busy.mcast(bytes(100_000)))
        for attempt in range(60):
            with anyio.move_on_after(attempt % 20 * 0.002):
                async with cpg.join(b"again"):
                    pass
            async with cpg.join(b"again") as group:
                await group.mcast_confirmed(b"%d" % attempt)
                assert group.members == (group.me,)
        tasks.cancel_scope.cancel()
