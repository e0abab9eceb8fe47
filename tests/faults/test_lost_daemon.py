"""A daemon that dies ends every iterator and waiting call with ``ConnectionLostError``, and then no core is burnt."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from aiocpg import Connection, ConnectionLostError, EngineUnavailableError, Event, Group, Message, StatusError, lowlevel
from aiocpg.engine._libcpg import binding
from aiocpg.testing import ClusterNode
from faults.everything import (
    DEATHS,
    Calls,
    Deadly,
    all_lost,
    busy_calls,
    everything_raises,
    going_well,
    iterators,
    no_core_is_burnt,
)
from faults.watching import PATIENCE, Measured, Waiters, read_on, repeat
from support.handles import open_member
from support.loops import BACKENDS

pytestmark = pytest.mark.anyio

MAX_ATOMIC = 1_047_552

on_all_loops = pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())

deaths = pytest.mark.parametrize("die", DEATHS.values(), ids=DEATHS.keys())


@on_all_loops
@deaths
@pytest.mark.usefixtures("no_leaks")
async def test_everything_ends_when_the_daemon_dies_at_work(
    fresh_node: ClusterNode, die: Deadly, measured: Measured
) -> None:
    """Each iterator and each kind of call, in full swing, ends with the loss, whichever way the daemon died."""
    async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
        group = await cpg.join(b"busy")
        waiters = Waiters(tasks)
        waiters.start(iterators(cpg, group))
        await group.mcast_confirmed(b"going")
        waiters.start(busy_calls(cpg, group))
        await going_well(group)
        die(fresh_node)
        await all_lost(waiters, time.monotonic(), measured)
        await no_core_is_burnt(measured)
        await everything_raises(cpg, group)


@on_all_loops
@pytest.mark.usefixtures("no_leaks")
async def test_waiting_calls_end_when_a_stopped_daemon_is_killed(fresh_node: ClusterNode, measured: Measured) -> None:
    """What waits for a daemon that does not answer, in C or in line, ends the moment it dies; a leave ends quietly."""
    async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
        group, other = await cpg.join(b"busy"), await cpg.join(b"other")
        fresh_node.stop()
        waiters, quiet = Waiters(tasks), Waiters(tasks)
        waiters.start(iterators(cpg, group) | waiting_calls(cpg, group))
        quiet.start({"leave": other.leave, "connect": lambda: repeat(fresh_node.connect)})
        await anyio.sleep(0.5)  # nothing tells that a call has come as far as it can
        assert not waiters.ends
        fresh_node.kill()
        died = time.monotonic()
        await all_lost(waiters, died, measured)
        assert (await quiet.all_ended())["leave"][0] is None
        assert isinstance(quiet.ends["connect"][0], EngineUnavailableError)
        await no_core_is_burnt(measured)
        await everything_raises(cpg, group)


def waiting_calls(cpg: Connection, group: Group) -> Calls:
    """Return calls that have to wait while the daemon is stopped."""

    async def join() -> None:
        await cpg.join(b"third")

    return {
        "mcast that waits for the window": lambda: repeat(lambda: group.mcast(bytes(1000))),
        "mcast_many": lambda: repeat(lambda: group.mcast_many([bytes(1000)] * 1000)),
        "mcast_confirmed": lambda: group.mcast_confirmed(b"x"),
        "members": lambda: cpg.members(b"busy"),
        "join": join,
        "groups": cpg.groups,
    }


@pytest.mark.usefixtures("no_leaks")
async def test_native_send_ends_when_a_stopped_daemon_is_killed(fresh_node: ClusterNode, measured: Measured) -> None:
    """A fragmented message waits inside libcpg, which may then report success; it is a loss all the same."""
    async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
        group = await cpg.join(b"native")
        fresh_node.stop()
        waiters = Waiters(tasks)
        waiters.start({"native": lambda: group.mcast(bytes(3 * MAX_ATOMIC), native=True)})
        await anyio.sleep(0.2)  # nothing tells that the thread is inside
        fresh_node.kill()
        await all_lost(waiters, time.monotonic(), measured)


@on_all_loops
@pytest.mark.usefixtures("no_leaks")
async def test_sends_end_when_the_daemon_is_killed_while_congested(fresh_node: ClusterNode, measured: Measured) -> None:
    """libcpg answers "try again" for ever after such a death; here it is the loss at once, and no core is burnt."""
    async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
        group = await cpg.join(b"full")
        with open_member(fresh_node, b"naive") as naive:
            fresh_node.stop()
            fill_the_ring(naive)
            waiters = Waiters(tasks)
            waiters.start({f"mcast {number}": lambda: group.mcast(bytes(MAX_ATOMIC)) for number in range(3)})
            await engine_says_congested(group)
            fresh_node.kill()
            await all_lost(waiters, time.monotonic(), measured, returned=1)
            await no_core_is_burnt(measured)
            measured("status of naive sends after the death", fill_the_ring(naive), "(6 is TRY_AGAIN)")


def fill_the_ring(naive: lowlevel.Handle) -> int:
    """Send large messages as a naive program does, until libcpg refuses; returns its status."""
    for _ in range(10):
        try:
            binding.mcast_joined(naive, 2, [bytes(MAX_ATOMIC)])
        except StatusError as error:
            return error.code
    raise AssertionError("the ring never filled up")


async def engine_says_congested(group: Group) -> None:
    """Wait until the send side has met congestion: its own window has let one message too many through by then."""
    with anyio.fail_after(PATIENCE):
        while not group._pump.sender._overdraft:  # noqa: ASYNC110 - nothing public tells
            await anyio.sleep(0.05)
        await anyio.sleep(0.2)


@on_all_loops
@deaths
@pytest.mark.usefixtures("no_leaks")
async def test_buffered_events_come_before_the_loss_when_the_daemon_dies(fresh_node: ClusterNode, die: Deadly) -> None:
    """What had arrived is read first, in order, by every reader; then comes the loss, each time one asks."""
    async with fresh_node.connect() as cpg:
        group = await cpg.join(b"buffered")
        events, messages = group.events(), group.messages()
        await group.mcast_many([b"%d" % number for number in range(500)])
        await group.mcast_confirmed(b"500")
        die(fresh_node)
        with pytest.raises(ConnectionLostError):
            await repeat(lambda: group.mcast_confirmed(b"more"))
        read: list[Event] = await events.receive_batch()
        await ends_with_loss(events)
        expected = [b"%d" % number for number in range(501)]
        assert [event.data for event in read if isinstance(event, Message)][:501] == expected
        assert [(await anext(messages)).data for _ in expected] == expected


async def ends_with_loss(events: Any) -> None:
    """Ask twice at the end of a stream."""
    with pytest.raises(ConnectionLostError):
        await events.receive_batch()
    with pytest.raises(ConnectionLostError):
        await anext(events)


@deaths
async def test_listings_of_groups_end_when_the_daemon_dies(
    fresh_node: ClusterNode, die: Deadly, measured: Measured
) -> None:
    """A listing that libcpg never returns from costs a thread, and its caller nothing but the error."""
    async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
        for number in range(20):
            await cpg.join(b"group %d" % number)
        waiters = Waiters(tasks)
        waiters.start({f"groups {number}": lambda: repeat(cpg.groups) for number in range(4)})
        for _ in range(3):
            await cpg.groups()
        die(fresh_node)
        await all_lost(waiters, time.monotonic(), measured)
        await no_core_is_burnt(measured)


async def test_a_new_connection_works_when_the_daemon_is_back(fresh_node: ClusterNode) -> None:
    """Nothing of the old one stands in the way: one connects, joins the same group, and is alone in it."""
    async with fresh_node.connect() as cpg, cpg.join(b"again") as group:
        fresh_node.kill()
        with pytest.raises(ConnectionLostError):
            await read_on(group.events())
    fresh_node.wait_gone()
    with pytest.raises(EngineUnavailableError, match="not running") as caught:
        await fresh_node.connect()
    assert caught.value.transient
    fresh_node.start()
    fresh_node.wait_ready()
    async with fresh_node.connect() as cpg, cpg.join(b"again") as group:
        assert group.members == (group.me,)
