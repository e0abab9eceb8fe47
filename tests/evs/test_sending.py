"""What goes out: in one frame what was sent in one turn, in the order of the calls, small messages between pieces."""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from aiocpg import Guarantee
from aiocpg.evs import Evs
from aiocpg.evs._sending import FAIR_BYTES
from aiocpg.testing import MemoryCluster
from support.evs import data_until, domain_of, handles, receipt
from support.running import PATIENCE, turns, until

pytestmark = pytest.mark.anyio


def frames_of(handle: Evs) -> int:
    """How many frames with messages went out."""
    return domain_of(handle).counts.sent["data"]


async def test_what_is_sent_in_one_turn_goes_in_one_frame() -> None:
    """Whatever the guarantees; what is sent in the next turn goes in the next."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            for _ in range(2):
                before = frames_of(one)
                for number in range(40):
                    await one.mcast_groups(["g"], b"%d" % number, guarantee=Guarantee(number % 4))
                assert frames_of(one) == before
                await receipt(await one.mcast_groups(["g"], b"last", guarantee=Guarantee.SAFE))
                assert frames_of(one) == before + 1
                await data_until(two, b"last")


async def test_long_burst_goes_out_between() -> None:
    """So that a task that only sends fills its frames, and lets the loop run."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await one.join("g")
            before = frames_of(one)
            for _ in range(4 * FAIR_BYTES // 128):
                await one.mcast_joined(bytes(64))
            await receipt(await one.mcast_joined(b"last"))
            assert 4 <= frames_of(one) - before <= 8


async def test_order_of_the_calls_is_kept_where_the_group_takes_nothing_for_a_while() -> None:
    """What could not go at once, what came meanwhile, and what comes behind it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, window=4000) as (one, two):
            await two.join("g")

            async def send(first: int) -> None:
                for number in range(first, first + 50):
                    await one.mcast_groups(["g"], b"%d" % number)

            await send(0)
            cluster.node(1).congest()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send, 50)
                await turns(20)
                cluster.node(1).relieve()
            await one.mcast_groups(["g"], b"last")
            assert await data_until(two, b"last") == [*(b"%d" % number for number in range(100)), b"last"]


async def test_acknowledgement_that_cannot_go_out_does_not_keep_the_loop_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is overdue as long as the group takes nothing, and no timer is set for that; it goes when it can."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            cluster.node(1).congest()
            await one.mcast_groups(["g"], b"waits")
            await until(lambda: domain_of(one).sending.is_held_up)
            ticket = await two.mcast_groups(["g"], b"safe", guarantee=Guarantee.SAFE)
            await turns(20)
            looks = 0
            look = domain_of(one)._go_on

            def count() -> None:
                nonlocal looks
                looks += 1
                look()

            monkeypatch.setattr(domain_of(one), "_go_on", count)
            await turns(50)
            assert looks < 10
            cluster.node(1).relieve()
            await receipt(ticket)


async def test_message_that_need_not_wait_overtakes_none_that_does() -> None:
    """Small ones, behind one that does not fit the window at the moment."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, window=2000) as (one, two):
            await two.join("g")
            cluster.node(1).stop()
            await one.mcast_groups(["g"], bytes(1500))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(one.mcast_groups, ["g"], b"waits".ljust(1500)))
                await turns()
                tasks.start_soon(partial(one.mcast_groups, ["g"], b"last"))
                await turns()
                cluster.node(1).cont()
            assert [data[:5] for data in await data_until(two, b"last")] == [bytes(5), b"waits", b"last"]


async def test_small_messages_find_room_between_the_pieces_of_a_large_one() -> None:
    """Also where its pieces fill the window each time."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, max_frame=10_000, window=40_000) as (one, two):
            await two.join("g")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(one.mcast_groups, ["g"], b"large".ljust(4_000_000)))
                await turns()
                with anyio.fail_after(PATIENCE):
                    for number in range(5):
                        await one.mcast_groups(["g"], b"%d" % number)
            await one.mcast_groups(["g"], b"last")
            data = [payload[:5] for payload in await data_until(two, b"last")]
            assert data == [b"0", b"1", b"2", b"3", b"4", b"large", b"last"]
