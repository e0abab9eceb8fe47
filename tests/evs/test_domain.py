"""One endpoint in one event loop: what it guarantees, what becomes of each message, how it pushes back."""

from __future__ import annotations

import contextlib
import time
from functools import partial

import anyio
import pytest

from aiocpg import (
    ConnectionLostError,
    Disconnected,
    Guarantee,
    MessageLostError,
    Reconnect,
    SlowConsumerError,
    evs,
)
from aiocpg.evs import (
    Delivery,
    Evicted,
    Evs,
    RegularConfiguration,
    Stalled,
    TransitionalConfiguration,
)
from aiocpg.testing import MemoryCluster
from support.evs import (
    SOON,
    data_until,
    drop,
    handles,
    is_regular,
    nth,
    payloads,
    read,
    read_until,
    receipt,
    stranger,
    to_end,
    together,
    unread,
)
from support.running import PATIENCE, turns, until

pytestmark = pytest.mark.anyio

leaving_nothing = pytest.mark.usefixtures("no_leaks")

UNORDERED, FIFO, AGREED, SAFE = Guarantee
MB = 1_000_000


# -- Guarantees


async def test_messages_are_in_one_order_at_all_members_whatever_their_guarantee() -> None:
    """FIFO, AGREED and SAFE are one order; each member has each message once."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3) as all_three:
            for one in all_three:
                await one.join("g")
            cluster.delay()
            async with anyio.create_task_group() as tasks:
                for one in all_three:
                    tasks.start_soon(_say, one, 60)
            cluster.heal()
            logs = [payloads(await read_until(one, nth(180))) for one in all_three]
            assert logs[0] == logs[1] == logs[2]
            assert len(set(logs[0])) == 180


async def _say(one: Evs, number: int) -> None:
    for place in range(number):
        await one.mcast_joined(b"%s %d" % (str(one.me).encode(), place), guarantee=(FIFO, AGREED, SAFE)[place % 3])


async def test_unordered_overtakes_what_is_held_and_the_rest_waits_in_order() -> None:
    """A stopped member holds SAFE and what stands behind it, but not what asks for no order."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3) as (one, _, _three):
            await one.join("g")
            cluster.node(3).stop()
            safe = await one.mcast_joined(b"safe", guarantee=SAFE)
            agreed = await one.mcast_joined(b"agreed")
            unordered = await one.mcast_joined(b"unordered", guarantee=UNORDERED)
            await receipt(unordered)
            assert await data_until(one, b"unordered") == [b"unordered"]
            assert not safe.is_settled
            assert not agreed.is_settled
            cluster.node(3).cont()
            assert await data_until(one, b"agreed") == [b"safe", b"agreed"]
            assert not (await receipt(safe)).transitional


async def test_agreed_flows_where_nothing_safe_is_on_its_way_though_a_member_stands_still() -> None:
    """Only SAFE asks the others."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3) as (one, two, _):
            cluster.node(3).stop()
            await two.join("g")
            for number in range(100):
                await one.mcast_groups(["g"], b"%d" % number)
            assert await data_until(two, b"99") == [b"%d" % number for number in range(100)]
            cluster.node(3).cont()


async def test_stall_is_told_with_who_causes_it_and_so_is_its_end() -> None:
    """In the stream, and without reading."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3, stall_timeout=SOON) as (one, two, three):
            await two.join("g")
            cluster.node(3).stop()
            ticket = await one.mcast_groups(["g"], b"held", guarantee=SAFE)
            stalled = await read(two, Stalled)
            assert stalled.laggards == (three.me,)
            assert stalled.held == 1
            assert two.stalled == stalled
            await until(lambda: one.stalled)
            cluster.node(3).cont()
            await until(lambda: two.stalled is None)
            behind = await unread(two)
            assert [type(event).__name__ for event in behind] == ["Resumed", "Delivery"]
            assert payloads(behind) == [b"held"]
            assert not (await receipt(ticket)).transitional
            assert one.statistics.stalls == 1


async def test_stranger_in_the_domain_is_named_and_evicted() -> None:
    """Who joins the CPG group and says nothing holds SAFE up; with ``evict_after`` it is left out."""
    with MemoryCluster() as cluster:
        async with (
            handles(cluster, 1, 2, stall_timeout=SOON, evict_after=3 * SOON) as (one, two),
            cluster.node(3).connect() as third,
        ):
            await one.join("g")
            async with stranger(third):
                await read_until(one, is_regular(1, 2, 3))
                ticket = await two.mcast_groups(["g"], b"held", guarantee=SAFE)
                stalled = await read(one, Stalled)
                assert [laggard.nodeid for laggard in stalled.laggards] == [3]
                events = await read_until(one, is_regular(1, 2))
                assert payloads(events) == [b"held"]
                assert (await receipt(ticket)).transitional
                assert one.statistics.evictions == 1


@leaving_nothing
async def test_evicted_member_wakes_and_comes_back_as_a_newcomer() -> None:
    """It is told, has what it held for itself alone, and the domain goes on with all three."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3, stall_timeout=SOON, evict_after=3 * SOON) as (one, two, three):
            for each in (one, two, three):
                await each.join("g")
            cluster.node(3).stop()
            ticket = await one.mcast_joined(b"held", guarantee=SAFE)
            await read_until(two, is_regular(1, 2))
            assert (await receipt(ticket)).transitional
            cluster.node(3).cont()
            before = await read_until(three, lambda event: isinstance(event, Evicted))
            assert b"held" not in payloads(before)
            held = await read_until(three, is_regular(3))
            assert payloads(held) == [b"held"]
            assert three.stalled is None
            new = (await read_until(three, is_regular(1, 2, 3)))[-1]
            assert isinstance(new, RegularConfiguration)
            await together([one, two, three])
            again = await three.mcast_joined(b"again", guarantee=SAFE)
            assert not (await receipt(again)).transitional
            assert (await data_until(one, b"again"))[-1] == b"again"


@leaving_nothing
async def test_loop_that_stood_still_takes_nobody_for_late() -> None:
    """The answers came meanwhile; wherever it is in what it does. Everybody stands still here, as in one process."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, stall_timeout=5 * SOON, evict_after=5 * SOON) as (one, two):
            for after in range(8):
                ticket = await one.mcast_groups(["g"], b"x", guarantee=SAFE)
                await turns(after)
                time.sleep(10 * SOON)  # noqa: ASYNC251 - that is what must do no harm
                assert not (await receipt(ticket)).transitional
            assert [each.statistics.stalls + each.statistics.evictions for each in (one, two)] == [0, 0]


# -- Receipts


async def test_receipt_tells_where_the_message_stands() -> None:
    """Position and configuration are those of the delivery, at the sender."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, _):
            await one.join("g")
            for guarantee in Guarantee:
                ticket = await one.mcast_joined(b"x", guarantee=guarantee)
                got = await receipt(ticket)
                delivery = await read(one, Delivery)
                assert got.position == delivery.position
                assert got.transitional is delivery.transitional is False
                assert isinstance(got.configuration, RegularConfiguration)
                assert got.configuration.members == one.membership_get().members
                assert delivery.guarantee is guarantee


async def test_receipt_says_transitional_when_a_partition_comes_before_all_have_acknowledged() -> None:
    """It names those who have it for certain."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3) as (one, two, _three):
            await two.join("g")
            cluster.node(3).stop()
            ticket = await one.mcast_groups(["g"], b"cut", guarantee=SAFE)
            await turns(20)
            cluster.partition({1, 2}, {3})
            got = await receipt(ticket)
            assert isinstance(got.configuration, TransitionalConfiguration)
            assert got.configuration.members == (one.me, two.me)
            assert got.configuration.verified
            delivery = await read(two, Delivery)
            assert delivery.transitional
            cluster.node(3).cont()
            cluster.heal()
            await together([one, two, _three])


@leaving_nothing
async def test_every_ticket_is_settled_when_the_node_is_killed() -> None:
    """What is out is unknown, what waits was not sent: each says so, and so do later calls."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3) as (one, _, _three):
            await one.join("g")
            cluster.node(3).stop()
            tickets = [await one.mcast_joined(b"%d" % n, guarantee=SAFE) for n in range(10)]
            await turns(10)
            tickets += [await one.mcast_joined(b"%d" % n, guarantee=SAFE) for n in range(10)]
            cluster.node(1).kill()
            for ticket in tickets:
                with contextlib.suppress(ConnectionLostError):
                    assert (await receipt(ticket)).transitional
            with pytest.raises(ConnectionLostError):
                await one.mcast_joined(b"late")
            with pytest.raises(ConnectionLostError):
                await to_end(one)
            cluster.node(3).cont()


async def test_messages_that_others_have_not_seen_either_are_settled_when_the_node_is_killed() -> None:
    """A message that is behind others in a node that takes nothing is unknown or not sent; none hangs."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, _):
            cluster.node(1).congest()
            tickets = [await one.mcast_groups(["g"], bytes(1000)) for _ in range(200)]
            await turns(5)
            cluster.node(1).kill()
            for ticket in tickets:
                with pytest.raises(ConnectionLostError):
                    await receipt(ticket)


async def test_message_that_the_daemon_drops_is_known_as_lost_when_a_later_one_comes_back() -> None:
    """All of its frame, and nothing else."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            drop(one, lambda frame: b"1, too" in frame)
            tickets = []
            for number in range(3):
                tickets.append(await one.mcast_groups(["g"], b"%d" % number, guarantee=SAFE))
                tickets.append(await one.mcast_groups(["g"], b"%d, too" % number, guarantee=UNORDERED))
                await turns(20)
            for place, ticket in enumerate(tickets):
                if place in (2, 3):
                    with pytest.raises(MessageLostError):
                        await receipt(ticket)
                else:
                    await receipt(ticket)
            assert sorted(await data_until(two, b"2")) == [b"0", b"0, too", b"2", b"2, too"]


async def test_loss_is_a_gap_with_reconnect_and_the_domain_goes_on_behind_it() -> None:
    """Readers get ``Disconnected``, then a first configuration; what waits is sent in the next life."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, reconnect=Reconnect(first_pause=0.01)) as (one, two):
            await one.join("g")
            await two.join("g")
            cluster.node(1).congest()
            out = await one.mcast_joined(b"out", guarantee=SAFE)
            await turns(5)
            old = one.me
            cluster.node(1).kill()
            await read(one, Disconnected)
            with pytest.raises(ConnectionLostError):
                await receipt(out)
            waiting = await one.mcast_joined(b"waiting", guarantee=SAFE)
            cluster.node(1).start()
            await receipt(waiting)
            await together([one, two])
            assert one.me != old
            behind = await read_until(one, lambda event: isinstance(event, Delivery))
            assert payloads(behind) == [b"waiting"]
            assert any(isinstance(event, RegularConfiguration) for event in behind)
            again = await one.mcast_joined(b"again", guarantee=SAFE)
            await receipt(again)
            assert b"again" in await data_until(two, b"again")


# -- The window


async def test_window_waits_and_lets_calls_on_in_their_order() -> None:
    """A full window wakes who waits as messages come back, first come first served."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, window=1000) as (one,):
            await one.join("g")
            cluster.node(1).congest()
            sent: list[int] = []

            async def send(number: int) -> None:
                await one.mcast_joined(b"%02d" % number + bytes(300))
                sent.append(number)

            async with anyio.create_task_group() as tasks:
                for number in range(12):
                    tasks.start_soon(send, number)
                    await turns(3)
                assert sent == [0, 1]
                cluster.node(1).relieve()
            assert sent == list(range(12))
            got = payloads(await read_until(one, nth(12)))
            assert [data[:2] for data in got] == [b"%02d" % number for number in range(12)]


async def test_window_may_be_awaited_in_the_task_that_reads() -> None:
    """It is freed as messages are delivered to the buffers, not when somebody takes them."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, window=2000) as (one, two):
            await one.join("g")
            with anyio.fail_after(PATIENCE):
                for number in range(200):
                    ticket = await one.mcast_joined(b"%d" % number, bytes(500), guarantee=SAFE)
                await ticket.delivered()
            assert len(payloads(await read_until(one, nth(200)))) == 200
            assert one.statistics.under_way == 0
            del two


async def test_message_larger_than_the_window_passes_alone() -> None:
    """It waits until nothing else is under way."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, window=100) as (one,):
            await one.join("g")
            for size in (10, 50_000, 10, 500_000, 3 * MB):
                ticket = await one.mcast_joined(bytes(size))
                await receipt(ticket)
            assert [len(data) for data in payloads(await read_until(one, nth(5)))] == [
                10,
                50_000,
                10,
                500_000,
                3 * MB,
            ]


async def test_cancelled_send_that_waits_for_room_has_sent_nothing() -> None:
    """And those behind it go on."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, window=1000) as (one,):
            await one.join("g")
            cluster.node(1).congest()
            await one.mcast_joined(b"first", bytes(800))
            async with anyio.create_task_group() as tasks:
                doomed = anyio.CancelScope()

                async def cancelled() -> None:
                    with doomed:
                        await one.mcast_joined(b"cancelled", bytes(800))

                tasks.start_soon(cancelled)
                await turns()
                tasks.start_soon(partial(one.mcast_joined, b"last"))
                await turns()
                doomed.cancel()
                await turns()
                cluster.node(1).relieve()
            got = await data_until(one, b"last")
            assert [data[:6] for data in got] == [b"first\0", b"last"]


# -- Slow readers


async def test_slow_reader_is_told_once_and_goes_on_with_the_configuration_in_force() -> None:
    """Other handles of the endpoint do not notice."""
    with MemoryCluster() as cluster:
        async with cluster.node(1).connect() as connection:
            slow = await evs.connect(connection=connection, max_buffered_bytes=3000)
            quick = await evs.connect(connection=connection)
            async with slow, quick:
                for one in (slow, quick):
                    await one.join("g")
                for number in range(50):
                    ticket = await slow.mcast_joined(b"%d" % number)
                await receipt(ticket)
                got: list[bytes] = []
                with pytest.raises(SlowConsumerError) as caught:
                    async for event in slow:
                        got += payloads([event])
                assert caught.value.lost == 50 - len(got)
                now = await anext(slow.events())
                assert isinstance(now, RegularConfiguration)
                assert now.members == (slow.me,)
                assert now.joined == now.nodes_joined == ()
                await slow.mcast_joined(b"on")
                assert await data_until(slow, b"on") == [b"on"]
                assert len(await data_until(quick, b"on")) == 51


async def test_message_larger_than_a_readers_budget_passes_alone() -> None:
    """Where nothing else is unread."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, max_buffered_bytes=1000) as (one,):
            await one.join("g")
            await receipt(await one.mcast_joined(bytes(5000)))
            assert payloads(await unread(one)) == [bytes(5000)]
