"""How a membership begins and ends, and what readers, senders and waiters are told of it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from aiocpg import (
    ConfigurationChange,
    ConnectionLostError,
    CPGError,
    Disconnected,
    EngineUnavailableError,
    Group,
    GroupClosedError,
    MembershipLostError,
    Message,
    Stream,
    View,
    lowlevel,
)
from aiocpg._group._pump import Pump
from aiocpg._state.history import Record
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.handles import open_handle
from support.running import stopped, turns, until
from support.undelivered import OUR_JOIN, RING, Delivering

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def mortal_cluster() -> Iterator[CorosyncCluster]:
    """A node whose daemon the tests may kill."""
    with CorosyncCluster(nodes=1, token=10_000) as cluster:
        yield cluster


@pytest.fixture
def mortal(mortal_cluster: CorosyncCluster) -> Iterator[ClusterNode]:
    """A node that is started again when a test has killed its daemon."""
    node = mortal_cluster.node(1)
    yield node
    if node.pid is None:
        node.start()
        node.wait_ready()


async def kill(node: ClusterNode) -> None:
    """Crash the daemon, and wait until it is gone."""
    node.kill()
    await anyio.to_thread.run_sync(node.wait_gone)


async def ends_with(error: type[CPGError], stream: Stream[Message]) -> None:
    """Read to the end, which is this error, every time."""
    with pytest.raises(error):
        async for _ in stream:
            pass
    with pytest.raises(error):
        await stream.receive_batch()


async def fails_with(error: type[CPGError], group: Group) -> None:
    """Send a message whose fate this error tells."""
    with pytest.raises(error):
        await group.mcast_confirmed(b"out")


@pytest.fixture
async def doomed(mortal: ClusterNode) -> AsyncIterator[Group]:
    """A group at a daemon that the test kills."""
    async with mortal.connect() as cpg:
        yield await cpg.join("doomed")


async def test_group_has_its_view_however_the_first_events_come(node: ClusterNode) -> None:
    """The change and the ring that completes it may come in different turns."""
    async with node.connect() as cpg:
        for _ in range(30):
            async with cpg.join("group") as group:
                assert group.view.number == 1


async def test_loss_of_the_daemon_reaches_everybody(mortal: ClusterNode, doomed: Group) -> None:
    """Waiting readers and senders, and every later call; each gets what had arrived before."""
    waiting, later = doomed.messages(), doomed.messages()
    await doomed.mcast_confirmed(b"arrived")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends_with, ConnectionLostError, waiting)
        await turns()
        mortal.stop()
        tasks.start_soon(fails_with, ConnectionLostError, doomed)
        await turns()
        await kill(mortal)
    assert (await anext(later)).data == b"arrived"
    await ends_with(ConnectionLostError, later)
    for call in (doomed.mcast(b"x"), doomed.mcast_many([b"x"]), doomed.mcast_confirmed(b"x")):
        with pytest.raises(ConnectionLostError):
            await call
    await ends_with(ConnectionLostError, doomed.messages())
    assert doomed.view.members == (doomed.me,)


async def test_leaving_after_a_loss_returns_at_once(mortal: ClusterNode, doomed: Group) -> None:
    """Who leaves a lost group has what it wanted; so has a leave that waits when the daemon dies."""
    async with anyio.create_task_group() as tasks:
        mortal.stop()
        tasks.start_soon(doomed.leave)
        await turns()
        await kill(mortal)
    await doomed.leave()
    with pytest.raises(ConnectionLostError):
        await doomed.mcast(b"x")


async def test_send_that_waits_for_room_is_told_of_the_loss(mortal: ClusterNode, doomed: Group) -> None:
    """It does not try for ever, although libcpg would answer "try again" for ever."""

    async def send() -> None:
        with pytest.raises(ConnectionLostError):
            while True:
                await doomed.mcast(bytes(100_000))

    async with anyio.create_task_group() as tasks:
        mortal.stop()
        tasks.start_soon(send)
        await turns(50)
        await kill(mortal)


async def test_departure_that_nobody_asked_for_is_an_error(mortal: ClusterNode, doomed: Group) -> None:
    """Another handle of this process that leaves by a wrong name takes us out of the group; no silent end."""
    readers = [doomed.messages(), doomed.messages()]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ends_with, MembershipLostError, readers[0])
        await turns()
        with stray(mortal) as handle:
            lowlevel.leave(handle, b"doomed")
            await until(lambda: not doomed.members)
    await ends_with(MembershipLostError, readers[1])
    with pytest.raises(MembershipLostError) as caught:
        await doomed.mcast(b"x")
    assert (caught.value.group, caught.value.reason) == (b"doomed", "LEAVE")
    await doomed.leave()


async def test_fate_of_a_message_sent_behind_such_a_departure_is_unknown(mortal: ClusterNode, doomed: Group) -> None:
    """The daemon still hands it to others, so it must not be called lost."""
    with stray(mortal) as handle:
        lowlevel.leave(handle, b"doomed")
        await fails_with(MembershipLostError, doomed)


strays = itertools.count()


@contextlib.contextmanager
def stray(node: ClusterNode) -> Iterator[lowlevel.Handle]:
    """Make a handle of this process in another group. Misused, it stays there as a ghost, so the name is its own."""
    with open_handle(node) as handle:
        lowlevel.join(handle, b"stray %d" % next(strays))
        yield handle


@pytest.mark.parametrize(("seen", "gaps"), [([], 1), ([OUR_JOIN], 2)], ids=["not seen", "seen"])
async def test_loss_on_the_way_back_is_another_gap_where_our_join_was_seen(seen: list[Record], gaps: int) -> None:
    """Otherwise there would be two joins with nothing between."""
    pump = Pump(Delivering(OUR_JOIN, RING), 10_000, lambda: None, lambda: None, lambda: None)
    pump.on_readable()
    for records in (seen, [OUR_JOIN, RING]):
        pump.on_lost(ConnectionLostError("gone"))
        pump.attach(Delivering(*records))
        pump.on_readable()
    kinds = [type(event) for event in await pump.hub.open((), 10_000, "events()").receive_batch()]
    assert kinds.count(Disconnected) == gaps
    assert kinds.count(ConfigurationChange) == gaps + 1
    assert not pump.is_away


async def test_fault_of_our_own_is_the_end_for_those_who_go_on_behind_gaps() -> None:
    """As an error that is no loss, or they would go round for ever."""
    pump = Pump(Delivering(OUR_JOIN, RING), 10_000, lambda: None, lambda: None, lambda: None)
    pump.on_readable()
    messages = pump.hub.open((Message,), 10_000, "messages()")
    fault = ConnectionLostError("a fault in aiocpg itself")
    fault.__cause__ = ZeroDivisionError()
    pump.on_lost(fault)
    for _ in range(2):
        with pytest.raises(EngineUnavailableError):
            await anext(messages)


async def test_closing_without_waiting_ends_readers_and_fails_senders(node: ClusterNode) -> None:
    """The fate of what was out is unknown, so it is not called lost."""
    async with node.connect(close_timeout=0.05) as cpg:
        group = await cpg.join("group")
        stream = group.events()
        with stopped(node):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(fails_with, GroupClosedError, group)
                await turns()
                await cpg.aclose()
    assert isinstance([event async for event in stream][-1], View)
