"""What an endpoint has counted."""

from __future__ import annotations

import pytest

from aiocpg import Guarantee, evs
from aiocpg.evs import Statistics
from aiocpg.evs._domain import PREFIX
from aiocpg.testing import MemoryCluster
from support.evs import SOON, handles, is_regular, read_until, together
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


async def test_member_that_is_strict_where_others_are_not_is_counted_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At both: changes wait in vain there, and nothing else would say why."""
    with MemoryCluster() as cluster:
        async with (
            evs.connect(cluster.node(1).url) as one,
            evs.connect(cluster.node(2).url, strict_views=True) as two,
        ):
            await together([one, two])
            for each in (one, two, one, two):
                await (await each.mcast_groups(["g"], b"x", guarantee=Guarantee.SAFE)).delivered()
            assert one.statistics.disagreeing >= 2
            assert two.statistics.disagreeing >= 2
            warnings = [record.getMessage() for record in caplog.records if "strict_views" in record.getMessage()]
            assert len(warnings) == 2
            assert f"strict_views=False here, and not at {two.me}" in "".join(warnings)
