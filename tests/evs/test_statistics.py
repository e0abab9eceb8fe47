"""What an endpoint has counted."""

from __future__ import annotations

import pytest

from aiocpg import Guarantee
from aiocpg.evs import Statistics
from aiocpg.evs._domain import PREFIX
from aiocpg.testing import MemoryCluster
from support.evs import SOON, handles, is_regular, read_until
from support.running import until

pytestmark = pytest.mark.anyio


async def test_messages_and_frames_are_counted_by_kind() -> None:
    """What is sent in one turn of the loop is one frame; SAFE is acknowledged."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            for number in range(10):
                ticket = await one.mcast_groups(["g"], b"%d" % number, guarantee=Guarantee.SAFE)
            assert one.statistics.under_way == 10 * (1 + 64)
            await ticket.delivered()
            await until(lambda: two.statistics.delivered == 10)
            assert one.statistics.sent["data"] == two.statistics.received["data"] == 1
            assert two.statistics.sent["ack"] >= 1
            assert one.statistics.received["ack"] >= 1
            assert (one.statistics.delivered, one.statistics.under_way) == (10, 0)


async def test_snapshot_stays_what_it_is() -> None:
    """Compare two for a rate; neither can be changed."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            before = one.statistics
            await (await one.mcast_groups(["g"], b"x")).delivered()
            assert before.delivered == 0
            assert before.sent.get("data", 0) == 0
            assert one.statistics != before
            with pytest.raises(AttributeError):
                before.delivered = 7  # type: ignore[misc]
            with pytest.raises(TypeError):
                before.sent["data"] = 7  # type: ignore[index]


async def test_what_strangers_say_is_counted_by_what_is_wrong() -> None:
    """And harms nobody."""
    with MemoryCluster() as cluster:
        async with (
            handles(cluster, 1) as (one,),
            cluster.node(2).connect() as connection,
            connection.join(PREFIX + b"default") as group,
        ):
            await group.mcast_confirmed(b"hello")
            await group.mcast_confirmed(b"aEVS" + bytes(44))
            await read_until(one, is_regular(1, 2))
            await until(lambda: sum(one.statistics.dropped.values()) == 2)
            assert one.statistics.dropped["foreign"] == 1
            assert one.statistics.dropped["version"] == 1


async def test_stalls_are_counted() -> None:
    """Each that was told."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, stall_timeout=SOON) as (one, _):
            cluster.node(2).stop()
            await one.mcast_groups(["g"], b"x", guarantee=Guarantee.SAFE)
            await until(lambda: one.stalled)
            cluster.node(2).cont()
            await until(lambda: not one.stalled)
            statistics = one.statistics
            assert isinstance(statistics, Statistics)
            assert (statistics.stalls, statistics.evictions, statistics.divergences, statistics.gaps) == (1, 0, 0, 0)
            assert statistics.sent["request"] >= 1
