"""Messages that are larger than a frame: whole, once, with room for others, or not at all."""

from __future__ import annotations

import itertools
from functools import partial

import anyio
import pytest

from aiocpg import (
    Guarantee,
    evs,
)
from aiocpg.evs import (
    Delivery,
    Evs,
)
from aiocpg.testing import MemoryCluster
from support.evs import (
    data_until,
    domain_of,
    drop,
    handles,
    read,
    receipt,
    together,
)
from support.running import PATIENCE, turns

pytestmark = pytest.mark.anyio

leaving_nothing = pytest.mark.usefixtures("no_leaks")

UNORDERED, FIFO, AGREED, SAFE = Guarantee
MB = 1_000_000


# -- Large messages


@pytest.mark.parametrize("guarantee", Guarantee)
async def test_large_message_comes_whole_and_others_find_room_between_its_pieces(guarantee: Guarantee) -> None:
    """At all members, once, with small ones before and behind it in one order."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await one.join("g")
            await two.join("g")
            large = bytes(range(256)) * 20_000
            async with anyio.create_task_group() as tasks:
                for _ in range(2):
                    tasks.start_soon(partial(one.mcast_joined, large, guarantee=guarantee))
                for number in range(50):
                    await two.mcast_joined(b"%d" % number)
                    await one.mcast_joined(b"- %d" % number)
            await receipt(await one.mcast_joined(b"end", guarantee=SAFE))
            logs = [await data_until(each, b"end") for each in (one, two)]
            assert logs[0] == logs[1]
            assert logs[0].count(large) == 2
            assert len(logs[0]) == 103
            assert logs[0].index(b"0") < logs[0].index(large)


async def test_very_large_message_comes_whole() -> None:
    """50 MB: within the default budget of a reader."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            large = bytes(range(250)) * 200_000
            with anyio.fail_after(PATIENCE):
                ticket = await one.mcast_groups(["g"], large, guarantee=SAFE)
            assert not (await receipt(ticket)).transitional
            delivery = await read(two, Delivery)
            assert delivery.data == large
            assert domain_of(one).under_way == 0


async def test_frames_are_never_larger_than_the_engine_takes() -> None:
    """Whatever ``max_frame`` was asked for, and however many groups there are."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, max_frame=100 * MB) as (one,):
            groups = [b"%d" % number for number in range(255)]
            await one.join(groups[7])
            for size in (900_000, 1_039_000, 1_047_552, 5 * MB):
                ticket = await one.mcast_groups(groups, bytes(size))
                await receipt(ticket)
                assert len((await read(one, Delivery)).data) == size


@pytest.mark.parametrize(("size", "after"), [(2, 0), (3, 2), (2, 4), (9, 8), (2, 16), (9, 16)])
async def test_large_message_is_delivered_once_when_others_come_and_go_meanwhile(size: int, after: int) -> None:
    """It is sent anew where a change falls between its pieces, and only there."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, max_frame=100_000, window=500_000) as (one, two):
            await one.join("g")
            await two.join("g")
            cluster.delay(1, most=2)
            async with anyio.create_task_group() as tasks:
                large = b"large".ljust(size * MB)
                tasks.start_soon(partial(one.mcast_joined, large))
                await turns(after)
                async with evs.connect(cluster.node(3).url) as three:
                    await three.join("g")
                    await turns(after)
                cluster.heal()
            await receipt(await one.mcast_joined(b"end", guarantee=SAFE))
            for each in (one, two):
                assert [len(data) for data in await data_until(each, b"end")] == [len(large), 3]


@pytest.mark.parametrize("lag", [1, 10, 20, 30])
async def test_large_message_is_delivered_once_when_its_sender_learns_late_of_a_change_before_it(lag: int) -> None:
    """All its pieces stand behind the change, so the first try is whole although the sender meant another view."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, max_frame=500_000) as (one, two):
            await one.join("g")
            await two.join("g")
            cluster.delay(1, most=1)
            for number in range(lag):
                await two.mcast_groups(["other"], b"%d" % number)
                await turns(1)
            async with evs.connect(cluster.node(3).url) as three:
                await three.join("g")
                await one.mcast_joined(b"large".ljust(1_200_000))
                cluster.heal()
                await receipt(await one.mcast_joined(b"end", guarantee=SAFE))
                for each in (one, two, three):
                    assert [len(data) for data in await data_until(each, b"end")] == [1_200_000, 3]


@pytest.mark.parametrize("after", [0, 1, 4, 8, 16])
async def test_large_message_is_delivered_once_when_the_network_is_cut_meanwhile(after: int) -> None:
    """Whole at all who are on the sender's side, behind the change or before it; at the other side whole or not."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3, max_frame=100_000, window=300_000) as (one, two, three):
            for each in (one, two, three):
                await each.join("g")
            cluster.delay(most=2)
            large = b"large".ljust(3 * MB)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(one.mcast_joined, large, guarantee=SAFE))
                await turns(after)
                cluster.partition({1, 2}, {3})
            cluster.heal()
            await together([one, two, three])
            await receipt(await one.mcast_joined(b"end", guarantee=SAFE))
            for each in (one, two):
                assert [len(data) for data in await data_until(each, b"end")] == [len(large), 3]
            assert [len(data) for data in await data_until(three, b"end")] in ([len(large), 3], [3])


@leaving_nothing
async def test_cancelled_large_message_is_delivered_nowhere_and_frees_its_memory() -> None:
    """Others' messages flow meanwhile, and the next large one behind it comes."""
    for after in (0, 1, 3, 10, 30):
        with MemoryCluster() as cluster:
            async with handles(cluster, 1, 2, max_frame=50_000, window=200_000) as (one, two):
                for each in (one, two):
                    await each.join("g")
                cluster.delay(most=1)
                await _cancel_a_large_one(one, two, after)
                cluster.heal()
                await receipt(await one.mcast_joined(b"next".ljust(2 * MB)))
                await receipt(await one.mcast_joined(b"end"))
                logs = [await data_until(each, b"end") for each in (one, two)]
                assert logs[0] == logs[1]
                assert sorted(map(len, logs[0])) == [3, 3, 3, 7, 2 * MB]
                assert _held(one) == _held(two) == domain_of(one).under_way == 0


async def _cancel_a_large_one(one: Evs, two: Evs, after: int) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(one.mcast_joined, bytes(20 * MB)))
            await turns(after)
            tickets = [await two.mcast_joined(b"two"), await one.mcast_joined(b"one")]
            scope.cancel()
    tickets.append(await one.mcast_joined(b"at once"))
    for ticket in tickets:
        await receipt(ticket)


def _held(handle: Evs) -> int:
    endpoint = domain_of(handle)._endpoint
    assert endpoint is not None
    assert endpoint.views is not None
    return sum(view.chunks.held for view in endpoint.views)


@pytest.mark.parametrize("places", [(0,), (5,), (15,), (3, 4, 20)])
async def test_large_message_of_which_the_daemon_drops_a_piece_is_sent_anew(places: tuple[int, ...]) -> None:
    """Whole, once, as soon as something that comes back shows it; small messages do."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, max_frame=100_000) as (one, two):
            await two.join("g")
            numbers = itertools.count()
            drop(one, lambda frame: next(numbers) in places)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(one.mcast_groups, ["g"], bytes(16 * 100_000)))
                await turns(20)
                await one.mcast_groups(["x"], b"what comes back")
            await one.mcast_groups(["g"], b"end")
            assert [len(data) for data in await data_until(two, b"end")] == [1_600_000, 3]
