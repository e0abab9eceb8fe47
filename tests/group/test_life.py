"""Leaving: with everything sent, while reading, repeated, cancelled, and bounded where the daemon does not answer."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import anyio
import pytest

from aiocpg import (
    ConfigurationChange,
    Connection,
    ConnectionLostError,
    Event,
    Group,
    GroupClosedError,
    MemberChange,
    Message,
    Reason,
    Reconnect,
    Stream,
    View,
)
from aiocpg._comeback import Comeback
from aiocpg._group import Life
from aiocpg._group._life import Done, GivenUp
from aiocpg._loop import current_port
from aiocpg._place import Place
from aiocpg.engine._base import Membership
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.running import gone, stopped, turns, until
from support.undelivered import OUR_JOIN, RING, Delivering, Undelivered

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed


@pytest.fixture
async def cpg(node: ClusterNode) -> AsyncIterator[Connection]:
    """A connection to the session's node."""
    async with node.connect() as cpg:
        yield cpg


class Watcher:
    """
    A member on another node that writes down how others go.

    Attributes:
        departures: Who went and why, in order.
        group: Its membership.
    """

    def __init__(self, group: Group) -> None:
        self.departures: list[MemberChange] = []
        self.group = group

    async def run(self) -> None:
        """Watch until cancelled."""
        async for change in self.group.changes():
            self.departures += change.left


@pytest.fixture
async def ours(cluster: CorosyncCluster) -> AsyncIterator[Connection]:
    """A connection to node 1 of the cluster."""
    async with cluster.node(1).connect() as ours:
        yield ours


@pytest.fixture
async def watcher(cluster: CorosyncCluster) -> AsyncIterator[Watcher]:
    """A watcher of the group "watched", on node 2."""
    async with cluster.node(2).connect() as theirs, anyio.create_task_group() as tasks, theirs.join("watched") as group:
        watcher = Watcher(group)
        tasks.start_soon(watcher.run)
        yield watcher


async def rest(stream: Stream[Event]) -> list[Event]:
    """Read to the end."""
    return [event async for event in stream]


async def test_leave_returns_when_our_departure_has_come_back(cpg: Connection) -> None:
    """Readers get the rest, our LEAVE last, and then the end."""
    group = await cpg.join("group")
    stream = group.events()
    await group.mcast(b"last")
    await group.leave()
    *_, message, change, view = await rest(stream)
    assert isinstance(message, Message)
    assert change == ConfigurationChange(b"group", (), (), (MemberChange(group.me, Reason.LEAVE),))
    assert isinstance(view, View)
    assert dict(view.left) == {group.me: Reason.LEAVE}
    assert await rest(stream) == []


async def test_iterator_made_after_the_leave_ends_at_once(cpg: Connection) -> None:
    """Of every kind."""
    group = await cpg.join("group")
    await group.events().receive_batch()
    await group.leave()
    for stream in (group.events(), group.messages(), group.changes(), group.views(), group.__aiter__()):
        assert await stream.receive_batch() == []


async def test_all_that_was_taken_stands_before_our_departure(cpg: Connection) -> None:
    """Leaving is draining: no message is lost by it."""
    group = await cpg.join("group")
    stream = group.messages()
    sizes = [0, 1, 5000, 200_000]
    for n in range(1000):
        await group.mcast(bytes(sizes[n % 4] if n > 980 else n % 50))
    await group.leave()
    assert len([message async for message in stream]) == 1000


async def test_leave_lets_waiting_sends_out_and_takes_no_new_ones(cpg: Connection, node: ClusterNode) -> None:
    """What was asked before the leave is sent, what comes after is refused."""
    group = await cpg.join("group")
    stream = group.messages()
    async with anyio.create_task_group() as tasks:
        with stopped(node):
            for n in range(6):
                tasks.start_soon(group.mcast, b"%d" % n, bytes(500_000))
            tasks.start_soon(group.mcast_confirmed, b"6")
            await turns()
            tasks.start_soon(group.leave)
            await turns()
            assert "leaving" in repr(group)
            with pytest.raises(GroupClosedError):
                await group.mcast(b"late")
            with pytest.raises(GroupClosedError):
                await group.mcast_many([b"late"])
    assert sorted([message.data[:1] async for message in stream]) == [b"%d" % n for n in range(7)]
    with pytest.raises(GroupClosedError, match="b'group'"):
        await group.mcast_confirmed(b"later")
    assert "closed" in repr(group)


async def test_leave_may_be_called_while_reading(cpg: Connection) -> None:
    """By the very task that reads; it waits for no reader."""
    group = await cpg.join("group")
    await group.mcast_many([b"go", b"rest"])
    seen: list[object] = []
    async for event in group:
        if isinstance(event, Message):
            seen.append(event.data)
            if event.data == b"go":
                await group.leave()
        else:
            seen.append(type(event))
    assert seen[-4:] == [b"go", b"rest", ConfigurationChange, View]


async def test_repeated_and_concurrent_leaves_all_return(cpg: Connection) -> None:
    """When the departure is back; later ones at once."""
    group = await cpg.join("group")
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(group.leave)
    await group.leave()
    assert await cpg.members("group") == ()


async def test_group_can_be_joined_again_when_it_was_left(cpg: Connection) -> None:
    """At once, as a new membership whose positions begin anew."""
    for _ in range(5):
        async with cpg.join("group") as group:
            assert (await group.mcast_confirmed(b"x")).position == 1


async def test_join_that_has_not_come_back_is_given_up_and_not_left() -> None:
    """``cpg_leave`` would spin in libcpg until the join is complete; whoever waits for the join is told."""
    membership = Undelivered()
    gone: list[Life] = []
    life = Life(membership, Place(current_port()), 0, gone.append)

    async def begin() -> None:
        with pytest.raises(GroupClosedError):
            await life.begin()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(begin)
        await turns()
        await life.leave()
    assert "leave" not in membership.calls
    assert "abandon" in membership.calls
    assert set(gone) == {life}


async def test_join_that_is_cancelled_is_given_up() -> None:
    """Nothing of it is left."""
    membership = Undelivered()
    life = Life(membership, Place(current_port()), 0, lambda life: None)
    with anyio.move_on_after(0.01) as scope:
        await life.begin()
    assert scope.cancelled_caught
    assert membership.calls == ["abandon"]


async def test_member_on_its_way_back_waits_for_the_daemon() -> None:
    """So that one which does not answer is told of, whether there is something to send or not."""

    def way_back(done: Done, given_up: GivenUp) -> Comeback[Membership]:
        return Comeback(current_port(), Reconnect(60, 60), "the group", never, done, given_up)

    async def never() -> Membership:
        raise AssertionError("nobody waits for so long")

    life = Life(Delivering(OUR_JOIN, RING), Place(current_port()), 0, lambda life: None, way_back)
    life.pump.on_readable()
    assert not life.is_waiting
    life.pump.on_lost(ConnectionLostError("gone"))
    assert life.is_waiting
    life.abandon()
    assert not life.is_waiting


async def test_block_leaves_when_its_body_raises(ours: Connection, watcher: Watcher) -> None:
    """In order, and the error goes on as it is."""
    with pytest.raises(KeyError, match="body"):
        async with ours.join("watched") as group:
            raise KeyError("body")
    await until(lambda: watcher.departures)
    assert watcher.departures == [(group.me, Reason.LEAVE)]


async def test_block_leaves_when_its_body_is_cancelled(ours: Connection, watcher: Watcher) -> None:
    """Leaving is what a cancelled task still owes the group."""
    with anyio.CancelScope() as scope:
        async with ours.join("watched") as group:
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught
    await until(lambda: watcher.departures)
    assert watcher.departures == [(group.me, Reason.LEAVE)]


async def test_cancelled_leave_closes_hard(ours: Connection, watcher: Watcher) -> None:
    """Others see us go with PROCDOWN, or with LEAVE if it was asked already; our readers end."""
    group = await ours.join("watched")
    stream = group.events()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await group.leave()
    assert scope.cancelled_caught
    assert isinstance((await rest(stream))[0], ConfigurationChange)
    with pytest.raises(GroupClosedError):
        await group.mcast(b"x")
    await group.leave()
    await until(lambda: watcher.departures)
    assert watcher.departures[0].address == group.me
    assert watcher.departures[0].reason in {Reason.PROCDOWN, Reason.LEAVE}


async def test_confirmed_send_that_is_out_when_we_close_hard_ends(cpg: Connection, node: ClusterNode) -> None:
    """Its fate is unknown, and it must not wait for ever."""
    group = await cpg.join("group")

    async def send() -> None:
        with pytest.raises(GroupClosedError):
            await group.mcast_confirmed(b"x")

    with stopped(node):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            await turns()
            with anyio.move_on_after(0.05):
                await group.leave()


async def test_block_ends_within_its_bound_when_the_daemon_is_stopped(node: ClusterNode, no_leaks: None) -> None:
    """``close_timeout`` cuts the leave short; the readers end, and the group sees us go when the daemon runs again."""
    async with node.connect(close_timeout=0.1) as cpg, anyio.create_task_group() as tasks:
        with contextlib.ExitStack() as stop:
            async with cpg.join("group") as group:
                tasks.start_soon(rest, group.events())
                stop.enter_context(stopped(node))
            with pytest.raises(GroupClosedError):
                await group.mcast(b"x")
        await gone(cpg, "group")
