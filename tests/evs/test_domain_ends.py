"""How an endpoint comes back, is closed and is lost, and that every wait can be cancelled."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from functools import partial

import anyio
import pytest

from aiocpg import (
    BusyError,
    ConnectionClosedError,
    ConnectionLostError,
    Disconnected,
    EngineUnavailableError,
    Guarantee,
    MembershipLostError,
    Reconnect,
    SlowConsumerError,
    evs,
)
from aiocpg.evs import (
    Delivery,
    EvsEvent,
    RegularConfiguration,
    Resync,
    TransitionalConfiguration,
    _returns,
)
from aiocpg.testing import MemoryCluster
from support.evs import (
    SOON,
    alone,
    data_until,
    deafen,
    domain_of,
    handles,
    is_regular,
    payloads,
    read,
    read_until,
    receipt,
    to_end,
    together,
    unread,
)
from support.loops import running_loop
from support.running import PATIENCE, Ticker, turns, until

pytestmark = pytest.mark.anyio

leaving_nothing = pytest.mark.usefixtures("no_leaks")

UNORDERED, FIFO, AGREED, SAFE = Guarantee
MB = 1_000_000


# -- Coming back


@leaving_nothing
async def test_loop_that_stood_still_too_long_is_a_resync() -> None:
    """Frames were lost on the way here, so the endpoint leaves and comes back, and says so; the handles live on."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await one.join("g")
            await two.join("g")
            await receipt(await one.mcast_joined(b"before", guarantee=SAFE))
            deafen(one)
            out = await one.mcast_joined(b"out", guarantee=SAFE)
            resync = await read(one, Resync)
            assert "stood still" in resync.reason
            with pytest.raises(ConnectionLostError):
                await receipt(out)
            waiting = await one.mcast_joined(b"waiting", guarantee=SAFE)
            events = await read_until(one, is_regular(1, 2))
            assert payloads(events) == []
            await receipt(waiting)
            await receipt(await one.mcast_joined(b"behind", guarantee=SAFE))
            assert await data_until(one, b"behind") == [b"waiting", b"behind"]
            assert (await data_until(two, b"behind"))[-2:] == [b"waiting", b"behind"]


async def test_large_message_goes_on_in_the_next_life() -> None:
    """It was on its way when the endpoint had to begin anew: it is sent anew, or known as unknown."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            cluster.node(1).congest()
            async with anyio.create_task_group() as tasks:
                outcome: list[object] = []

                async def send() -> None:
                    try:
                        outcome.append(await one.mcast_groups(["g"], bytes(3 * MB)))
                    except ConnectionLostError as error:
                        outcome.append(error)

                tasks.start_soon(send)
                tasks.start_soon(send)
                await turns(5)
                deafen(one)
                await two.mcast_groups(["x"], b"what it misses")
                await read(one, Resync)
                cluster.node(1).relieve()
            kinds = sorted(type(one).__name__ for one in outcome)
            assert kinds == ["ConnectionLostError", "Ticket"]
            assert len((await read(two, Delivery)).data) == 3 * MB


async def test_frame_that_waits_at_the_end_of_a_life_does_not_go_out_in_the_next() -> None:
    """Also where both are in one turn of the loop, before the task has begun to send what waits."""
    with MemoryCluster() as cluster:
        policy = Reconnect(first_pause=0.001)
        async with handles(cluster, 2) as (two,), evs.connect(cluster.node(1).url, reconnect=policy) as one:
            await two.join("g")
            await together([one, two])
            cluster.node(1).congest()
            out = await one.mcast_groups(["g"], b"out")
            domain_of(one).sending.flush()
            domain_of(one)._group._pump.on_lost(ConnectionLostError("gone"))
            cluster.node(1).relieve()
            await one.mcast_groups(["g"], b"next")
            assert await data_until(two, b"next") == [b"next"]
            with pytest.raises(ConnectionLostError):
                await receipt(out)


@leaving_nothing
async def test_handle_that_is_opened_while_the_endpoint_is_away_knows_that() -> None:
    """It begins with the configuration that is over, and with what ended it; the next one follows when it is back."""
    with MemoryCluster() as cluster:
        policy = Reconnect(first_pause=0.01)
        async with (
            cluster.node(1).connect(reconnect=policy) as connection,
            evs.connect(connection=connection) as one,
        ):
            cluster.node(1).kill()
            await read(one, Disconnected)
            async with evs.connect(connection=connection) as two:
                kinds = [type(event) for event in await unread(two)]
                assert kinds == [RegularConfiguration, TransitionalConfiguration, Disconnected]
                cluster.node(1).start()
                assert isinstance(await anext(two.events()), RegularConfiguration)


@leaving_nothing
async def test_closing_while_the_endpoint_leaves_and_comes_back_is_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """At whatever point of its way back."""
    monkeypatch.setattr(_returns, "FIRST_PAUSE_SECONDS", 0)
    for after in range(32):
        with MemoryCluster() as cluster:
            async with handles(cluster, 2) as (two,):
                async with evs.connect(cluster.node(1).url) as one:
                    await together([one, two])
                    await unread(two)
                    deafen(one)
                    await two.mcast_groups(["g"], b"what it misses")
                    await turns(after)
                await read_until(two, is_regular(2))
                await alone(two)
                await to_end(one)


async def test_closing_while_the_endpoint_comes_back_leaves_a_connection_of_the_callers_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also in the very turn of the loop in which it is back."""
    monkeypatch.setattr(_returns, "FIRST_PAUSE_SECONDS", 0)
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), cluster.node(1).connect() as connection:
            for after in range(16):
                async with evs.connect(connection=connection) as one:
                    await together([one, two])
                    deafen(one)
                    await two.mcast_groups(["g"], b"what it misses")
                    await turns(after)
                await alone(two)


@leaving_nothing
async def test_closing_while_the_endpoint_cannot_leave_to_come_back_is_bounded() -> None:
    """The daemon stands still; readers come to the end, as closing says, and to no error."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,):
            one = await evs.connect(cluster.node(1).url, close_timeout=SOON)
            await together([one, two])
            cluster.node(1).stop()
            domain_of(one).on_missed(SlowConsumerError(1, 0))
            await turns()
            with anyio.fail_after(PATIENCE):
                await one.aclose()
                await to_end(one)
            await turns()
            with pytest.raises(ConnectionClosedError):
                await one.join("g")
            cluster.node(1).cont()
            await alone(two)


@leaving_nothing
async def test_end_of_the_way_back_is_the_error_of_all() -> None:
    """Where ``give_up_after`` says so: readers, what waits, and what comes later."""
    with MemoryCluster() as cluster:
        policy = Reconnect(first_pause=0.01, give_up_after=SOON)
        async with evs.connect(cluster.node(1).url, reconnect=policy) as one:
            await unread(one)
            cluster.node(1).congest()
            out = await one.mcast_groups(["g"], b"out")
            await turns()
            cluster.node(1).kill()
            await read(one, Disconnected)
            waiting = await one.mcast_groups(["g"], b"waiting")
            with pytest.raises(EngineUnavailableError):
                await to_end(one)
            with pytest.raises(ConnectionLostError):
                await receipt(out)
            for later in (receipt(waiting), one.mcast_groups(["g"], b"late"), one.mcast_groups(["g"], bytes(3 * MB))):
                with pytest.raises(EngineUnavailableError):
                    await later


@pytest.mark.parametrize("waits", [False, True])
async def test_end_of_the_group_is_told_as_such_where_who_sends_meets_it_first(*, waits: bool) -> None:
    """There is still something to read before it: by a frame that is to go at once, or by one that waits."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), evs.connect(cluster.node(1).url) as one:
            await together([one, two])
            if waits:
                cluster.node(1).congest()
                await one.mcast_groups(["g"], b"waits")
                await turns()
            cluster.node(1).stop()
            for _ in range(10):
                await two.mcast_groups(["g"], bytes(200_000))
            await turns()
            cluster.node(1).cont()
            while not domain_of(one)._reading._is_busy:
                await turns(1)
            domain_of(one)._group._pump.on_lost(MembershipLostError(b"group", "LEAVE"))
            await one.mcast_groups(["g"], b"lost")
            with pytest.raises(MembershipLostError):
                await to_end(one)


@leaving_nothing
async def test_closing_while_the_daemon_is_away_gives_up() -> None:
    """What waits for the way back has the fate of what is closed hard; readers come to the end."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url, reconnect=True, close_timeout=SOON)
        cluster.node(1).kill()
        await read(one, Disconnected)
        ticket = await one.mcast_groups(["g"], b"waits")
        with anyio.fail_after(PATIENCE):
            await one.aclose()
        with pytest.raises(ConnectionClosedError):
            await receipt(ticket)
        assert await to_end(one) == []


async def test_closing_does_not_wait_for_the_way_back_where_nothing_waits() -> None:
    """The default time would be seconds."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url, reconnect=True, close_timeout=10 * PATIENCE)
        cluster.node(1).kill()
        with anyio.fail_after(PATIENCE):
            await one.aclose()
            await to_end(one)


@leaving_nothing
async def test_outcome_is_known_when_the_daemon_goes_while_closing() -> None:
    """Closing waits for what is out; the loss is an outcome, with ``reconnect`` too, and closing ends with it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,):
            for reconnect in (None, True):
                one = await evs.connect(cluster.node(1).url, reconnect=reconnect, close_timeout=10 * PATIENCE)
                await together([one, two])
                cluster.node(2).stop()
                ticket = await one.mcast_groups(["g"], b"out", guarantee=SAFE)
                with anyio.fail_after(PATIENCE):
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(one.aclose)
                        await turns(10)
                        cluster.node(1).kill()
                    assert (await receipt(ticket)).transitional
                cluster.node(2).cont()
                cluster.node(1).start()


@leaving_nothing
async def test_closing_while_the_daemon_stands_still_is_bounded() -> None:
    """It gives up after ``close_timeout``."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url, close_timeout=SOON)
        cluster.node(1).stop()
        ticket = await one.mcast_groups(["g"], b"out", guarantee=SAFE)
        with anyio.fail_after(PATIENCE):
            await one.aclose()
        with pytest.raises(ConnectionClosedError):
            await receipt(ticket)
        cluster.node(1).cont()


@leaving_nothing
async def test_closing_ends_the_task_that_sends_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where anyio takes its cancellation for that of the frames that wait, as version 4.7 does."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url, close_timeout=SOON)
        cluster.node(1).congest()
        await one.mcast_groups(["g"], b"waits")
        await turns()
        monkeypatch.setattr(domain_of(one).sending._task, "cancel", lambda: None)
        await one.aclose()
        cluster.node(1).relieve()


@leaving_nothing
async def test_closing_has_one_bound_with_its_connection() -> None:
    """What leaving has taken of it, closing the connection has not: another group there would have it for itself."""
    # Two bounds would be a second each time; a machine does not stand still each time.
    assert any([await _closes_within_its_bound() for _ in range(3)])


async def _closes_within_its_bound() -> bool:
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url, close_timeout=0.5)
        await domain_of(one).connection.join(b"other")
        cluster.node(1).stop()
        with anyio.move_on_after(0.8) as patience:
            await one.aclose()
        cluster.node(1).cont()
        return not patience.cancelled_caught


# -- Closing


@leaving_nothing
async def test_last_handle_reads_what_is_delivered_until_it_has_left() -> None:
    """It was acknowledged in its name; then it sees itself go. One that is not the last reads no more."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), cluster.node(1).connect() as connection:
            first = await evs.connect(connection=connection, groups=["g"])
            last = await evs.connect(connection=connection, groups=["g"], close_timeout=10 * PATIENCE)
            await together([last, two])
            cluster.node(2).stop()
            await last.mcast_joined(b"held", guarantee=SAFE)
            await first.aclose()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(last.aclose)
                await turns(20)
                cluster.node(2).cont()
            assert payloads(await to_end(first)) == []
            events = await to_end(last)
            assert payloads(events) == [b"held"]
            assert isinstance(events[-1], TransitionalConfiguration)
            assert events[-1].members == (last.me,)


async def test_closing_waits_for_the_outcome_of_all_that_was_sent() -> None:
    """Receipts are there when it returns, SAFE ones too."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,):
            await two.join("g")
            async with evs.connect(cluster.node(1).url) as one:
                await together([one, two])
                cluster.delay(2, most=1)
                tickets = [await one.mcast_groups(["g"], b"%d" % number, guarantee=SAFE) for number in range(50)]
            assert all(ticket.is_settled for ticket in tickets)
            for ticket in tickets:
                assert not (await receipt(ticket)).transitional
            cluster.heal()
            assert len(await data_until(two, b"49")) == 50


@leaving_nothing
async def test_closing_with_a_stopped_member_is_bounded_and_tells_the_outcome() -> None:
    """The others see it leave; what it had out is delivered where nobody knows of the stopped one."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2, 3) as (two, three):
            async with evs.connect(cluster.node(1).url, close_timeout=5 * SOON) as one:
                await together([one, two, three])
                cluster.node(3).stop()
                ticket = await one.mcast_groups(["g"], b"held", guarantee=SAFE)
            assert ticket.is_settled
            assert (await receipt(ticket)).transitional
            await until(lambda: len(domain_of(two)._group.members) == 2)
            cluster.node(3).cont()
            await together([two, three])


async def test_closing_with_a_stopped_member_leaves_a_connection_of_the_callers_without_the_endpoint() -> None:
    """Or a member that nobody reads would hold up the others for as long as the connection lasts."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2, 3) as (two, three), cluster.node(1).connect() as connection:
            async with evs.connect(connection=connection, close_timeout=5 * SOON) as one:
                await together([one, two, three])
                cluster.node(3).stop()
                await one.mcast_groups(["g"], b"held", guarantee=SAFE)
            await until(lambda: len(domain_of(two)._group.members) == 2)
            cluster.node(3).cont()
            await together([two, three])
            async with evs.connect(connection=connection) as again:
                await together([again, two, three])


@leaving_nothing
async def test_closing_after_a_cancelled_large_message_ends_at_once() -> None:
    """What gives up its pieces is an outcome, too, though nothing is delivered."""
    with MemoryCluster() as cluster:
        async with cluster.node(2).connect() as other, other.join(b"aiocpg.evs1:default"):
            with anyio.fail_after(PATIENCE):
                async with evs.connect(cluster.node(1).url, close_timeout=10 * PATIENCE) as one:
                    with anyio.CancelScope() as scope:
                        async with anyio.create_task_group() as tasks:
                            tasks.start_soon(partial(one.mcast_groups, ["g"], bytes(5 * MB)))
                            await turns(3)
                            scope.cancel()


@leaving_nothing
async def test_calls_that_wait_for_room_are_told_when_the_handle_is_closed() -> None:
    """None hangs."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url, window=100, close_timeout=SOON)
        cluster.node(1).congest()
        outcomes: list[object] = []

        async def send(size: int) -> None:
            try:
                outcomes.append(await one.mcast_groups(["g"], bytes(size)))
            except ConnectionClosedError as error:
                outcomes.append(error)

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for size in (1000, 1000, 1000, 3 * MB, 3 * MB):
                    tasks.start_soon(send, size)
                await turns()
                await one.aclose()
        assert sorted(type(one).__name__ for one in outcomes) == ["ConnectionClosedError"] * 4 + ["Ticket"]


async def test_calls_that_wait_for_room_are_told_when_the_daemon_goes() -> None:
    """None hangs."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, window=100) as one:
            cluster.node(1).congest()
            outcomes: list[object] = []

            async def send(size: int) -> None:
                try:
                    outcomes.append(await one.mcast_groups(["g"], bytes(size)))
                except ConnectionLostError as error:
                    outcomes.append(error)

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for size in (1000, 1000, 1000, 3 * MB, 3 * MB):
                        tasks.start_soon(send, size)
                    await turns()
                    cluster.node(1).kill()
            assert sorted(type(one).__name__ for one in outcomes) == ["ConnectionLostError"] * 4 + ["Ticket"]


@leaving_nothing
async def test_connection_closed_under_the_handle_is_its_end() -> None:
    """Whoever closes a connection that was lent closes what goes through it."""
    with MemoryCluster() as cluster:
        connection = await cluster.node(1).connect()
        one = await evs.connect(connection=connection)
        ticket = await one.mcast_groups(["g"], b"x")
        await connection.aclose()
        await to_end(one)
        assert ticket.is_settled or await receipt(ticket)
        with pytest.raises(ConnectionClosedError):
            await one.mcast_groups(["g"], b"x")
        await one.aclose()


@leaving_nothing
async def test_error_inside_ends_the_domain_and_not_the_others() -> None:
    """Readers and senders are told, and the CPG group is left, so that nobody waits for the endpoint."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), evs.connect(cluster.node(1).url) as one:
            await together([one, two])
            await unread(two)
            domain_of(one).readers.position = "no number"  # type: ignore[assignment]
            ticket = await two.mcast_groups(["g"], b"x", guarantee=SAFE)
            with pytest.raises(ConnectionLostError, match="an error inside"):
                await to_end(one)
            with pytest.raises(ConnectionLostError, match="an error inside"):
                await one.mcast_groups(["g"], b"x")
            await receipt(ticket)
            await read_until(two, is_regular(2))


async def test_congestion_costs_no_turns_of_the_loop() -> None:
    """An acknowledgement that cannot go out is not tried again all the time."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, stall_timeout=SOON) as (one, two):
            cluster.node(1).congest()
            for _ in range(3):
                await two.mcast_groups(["g"], b"x", guarantee=SAFE)
                await turns(10)
            calls = itertools.count()
            domain = domain_of(one)
            go_on = domain._go_on
            domain._go_on = lambda: (next(calls), go_on())  # type: ignore[method-assign, assignment, func-returns-value]
            await turns(500)
            assert next(calls) < 100
            domain._go_on = go_on  # type: ignore[method-assign]
            cluster.node(1).relieve()


# -- Cancelling


async def test_sending_lets_the_loop_run() -> None:
    """Also where no call has to wait."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            ticker = Ticker()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ticker.run)
                await turns()
                before = ticker.count
                for _ in range(10_000):
                    await one.mcast_groups(["g"], b"x")
                assert ticker.count > before
                tasks.cancel_scope.cancel()


@leaving_nothing
@pytest.mark.parametrize("what", ["small", "large", "delivered", "read", "close"])
async def test_every_wait_can_be_cancelled_as_asyncio_does_it(what: str) -> None:
    """Once, and not for good as a scope does; the domain goes on, or is closed hard."""
    for after in (0, 1, 2, 4):
        if running_loop() != "trio":
            await _wait_and_be_cancelled(what, after)


async def _wait_and_be_cancelled(what: str, after: int) -> None:
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,):
            one = await evs.connect(cluster.node(1).url, window=5000, close_timeout=10 * PATIENCE)
            await one.join("g")
            await together([one, two])
            await unread(one)
            cluster.node(2).stop()
            ticket = await one.mcast_joined(bytes(5000), guarantee=SAFE)
            calls: dict[str, Callable[[], Coroutine[None, None, object]]] = {
                "small": lambda: one.mcast_joined(b"never"),
                "large": lambda: one.mcast_joined(bytes(3 * MB)),
                "delivered": ticket.delivered,
                "read": one.events().__anext__,
                "close": one.aclose,
            }
            task = asyncio.create_task(calls[what]())
            await turns(after)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()
            cluster.node(2).cont()
            if what != "close" or not after:
                await receipt(await one.mcast_joined(b"behind", guarantee=SAFE))
                assert [len(data) for data in await data_until(one, b"behind")] == [5000, 6]
            with anyio.fail_after(PATIENCE):
                await one.aclose()
                await to_end(one)
            assert ticket.is_settled
            await alone(two)


async def test_cancelled_read_loses_nothing() -> None:
    """What comes meanwhile is read, or is the next that is."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await one.join("g")
            got: list[EvsEvent] = []

            async def read_one() -> None:
                got.append(await anext(one.events()))

            for number in range(8):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read_one)
                    await turns(number % 3)
                    ticket = await one.mcast_joined(b"%d" % number)
                    await turns(number)
                    tasks.cancel_scope.cancel()
                await receipt(ticket)
            await one.mcast_joined(b"end")
            assert payloads(got) + await data_until(one, b"end") == [*(b"%d" % number for number in range(8)), b"end"]


async def test_second_reader_of_one_stream_is_refused() -> None:
    """Two tasks would each get half."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,), anyio.create_task_group() as tasks:
            tasks.start_soon(one.events().receive_batch)
            await turns()
            with pytest.raises(BusyError, match="a handle of its own"):
                await anext(one.events())
            await one.join("g")
            await one.mcast_joined(b"ends the first")


async def test_waiting_for_an_outcome_can_be_cancelled_and_asked_again() -> None:
    """By many tasks; only the waiting is given up."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, _):
            cluster.node(2).stop()
            ticket = await one.mcast_groups(["g"], b"x", guarantee=SAFE)
            for _ in range(3):
                with anyio.move_on_after(0.001) as scope:
                    await ticket.delivered()
                assert scope.cancelled_caught
            cluster.node(2).cont()
            async with anyio.create_task_group() as tasks:
                for _ in range(3):
                    tasks.start_soon(receipt, ticket)
            assert await ticket.delivered() == await ticket.delivered()
