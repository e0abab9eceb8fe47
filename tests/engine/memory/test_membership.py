"""One join of one group: congestion, large messages, and the end of a member whose loop takes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import anyio
import pytest

import aiocpg
from aiocpg import ConfigurationChange, ConnectionLostError, GroupClosedError, MessageTooBigError, Reason
from aiocpg._loop import current_port
from aiocpg.engine import open_engine
from aiocpg.engine._base import Engine
from aiocpg.engine.memory._backlog import MOST_UNDRAINED
from aiocpg.engine.memory._membership import MAX_NATIVE_SIZE
from aiocpg.testing import MemoryCluster
from aiocpg.testing.conformance._member import Member
from support.running import turns, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engines(cluster: MemoryCluster) -> AsyncIterator[list[Engine]]:
    """One on each of three nodes."""
    engines = [await open_engine(node.url, current_port()) for node in cluster.nodes]
    yield engines
    for engine in engines:
        await engine.aclose()


@pytest.fixture
async def members(engines: list[Engine]) -> list[Member]:
    """One group, who have all seen all come."""
    members = [Member(await engine.join(b"group")) for engine in engines]
    await until(lambda: [len(member.records) for member in members] == [4, 3, 2])
    return members


class Waking(Member):
    """Counts what it is told besides."""

    def __init__(self, membership: object) -> None:
        self.wakes = 0
        super().__init__(membership)  # type: ignore[arg-type]

    def on_writable(self) -> None:
        """Count it."""
        self.wakes += 1


async def test_congested_node_takes_no_messages_and_tells_when_it_does(
    engines: list[Engine], members: list[Member], cluster: MemoryCluster
) -> None:
    """All else goes on, what others send among it."""
    member = Waking(await engines[0].join(b"other"))
    cluster.node(1).congest()
    assert not member.membership.mcast(b"x")
    assert member.membership.mcast_many([b"x", b"y"]) == 0
    assert members[1].membership.mcast(b"passes")
    await until(lambda: members[0].has(b"passes"))
    assert await engines[0].members(b"other") == (member.me,)
    assert member.wakes == 0
    cluster.node(1).relieve()
    await until(lambda: member.wakes)
    assert member.membership.mcast(b"x")
    await until(lambda: member.has(b"x"))


async def test_node_that_stands_still_delivers_when_it_goes_on(members: list[Member], cluster: MemoryCluster) -> None:
    """What came meanwhile, in order; nobody has seen it go."""
    cluster.node(1).stop()
    assert members[1].membership.mcast_many([b"one", b"two"]) == 2
    assert not members[0].membership.mcast(b"x")
    await until(lambda: members[2].has(b"two"))
    members[0].take()
    assert len(members[0].records) == 4
    cluster.node(1).cont()
    await until(lambda: members[0].has(b"two"))
    assert members[0].records[4:] == [(members[1].me, b"one"), (members[1].me, b"two")]


async def test_end_on_a_node_that_stands_still_is_told_when_it_goes_on(
    members: list[Member], cluster: MemoryCluster
) -> None:
    """A daemon that is stopped tells nobody."""
    cluster.node(1).stop()
    await members[0].membership.aclose()
    await turns()
    assert len(members[1].records) == 3
    cluster.node(1).cont()
    await until(lambda: len(members[1].records) == 4)
    gone = members[1].records[-1]
    assert isinstance(gone, ConfigurationChange)
    assert gone.left == ((members[0].me, Reason.PROCDOWN),)


async def test_large_message_is_sent_when_asked_for(members: list[Member], cluster: MemoryCluster) -> None:
    """It waits for congestion to end; there is a limit, too."""
    cluster.node(1).congest()
    large = bytes(MAX_NATIVE_SIZE)
    with pytest.raises(MessageTooBigError):
        await members[0].membership.mcast_native(large + b"x")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(members[0].membership.mcast_native, large)
        await until(lambda: members[0].membership.is_sending_native)
        assert not members[1].has(large)
        cluster.node(1).relieve()
    assert not members[0].membership.is_sending_native
    await until(lambda: all(member.has(large) for member in members))


async def test_large_message_that_waits_can_be_given_up(members: list[Member], cluster: MemoryCluster) -> None:
    """Nothing was sent."""
    cluster.node(1).stop()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(members[0].membership.mcast_native, b"given up")
        await turns()
        tasks.cancel_scope.cancel()
    assert not members[0].membership.is_sending_native
    cluster.node(1).cont()
    assert members[0].membership.mcast(b"end")
    await until(lambda: members[1].has(b"end"))
    assert not members[1].has(b"given up")


async def test_nothing_is_sent_behind_the_leave_or_the_end(members: list[Member]) -> None:
    """By whatever call."""
    await members[0].membership.leave()
    await members[1].membership.aclose()
    for member in members[:2]:
        membership = member.membership
        with pytest.raises(GroupClosedError):
            membership.mcast(b"x")
        with pytest.raises(GroupClosedError):
            membership.mcast_many([b"x"])
        with pytest.raises(GroupClosedError):
            await membership.mcast_native(b"x")
        with pytest.raises(GroupClosedError):
            await membership.leave()


async def test_member_that_lets_too_much_pile_up_is_cut_off(members: list[Member]) -> None:
    """The sender's loop goes on, this one's is as good as blocked; the others see it go, and memory is given back."""
    members[0].is_lazy = True
    message = bytes(1024 * 1024)
    for _ in range(MOST_UNDRAINED // len(message) + 1):
        assert members[1].membership.mcast(message)
        members[1].take()
        members[2].take()
    await until(lambda: members[0].losses)
    assert isinstance(members[0].losses[0], ConnectionLostError)
    assert "64 MiB" in str(members[0].losses[0])
    with pytest.raises(ConnectionLostError, match="64 MiB"):
        members[0].membership.mcast(b"x")
    members[0].take()
    assert len(members[0].records) == 4
    gone = ConfigurationChange(
        b"group", (members[1].me, members[2].me), (), (aiocpg.MemberChange(members[0].me, Reason.PROCDOWN),)
    )
    await until(lambda: gone in members[1].records and gone in members[2].records)


async def test_reader_that_does_not_drain_is_called_again(members: list[Member]) -> None:
    """Without anything new."""
    members[0].is_lazy = True
    assert members[1].membership.mcast(b"x")
    await until(lambda: members[1].has(b"x"))
    members[0].is_lazy = False
    await until(lambda: members[0].has(b"x"))


async def test_fault_in_a_listener_ends_its_membership_only(engines: list[Engine], members: list[Member]) -> None:
    """It is a loss with a cause."""

    class Faulty(Member):
        def take(self) -> None:
            super().take()
            if self.has(b"fault"):
                raise LookupError("a fault")

    faulty = Faulty(await engines[0].join(b"other"))
    assert faulty.membership.mcast(b"fault")
    await until(lambda: faulty.losses)
    assert isinstance(faulty.losses[0].__cause__, LookupError)
    assert members[0].membership.mcast(b"goes on")
    await until(lambda: members[2].has(b"goes on"))
