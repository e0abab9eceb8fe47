"""What a connection and its groups count."""

from __future__ import annotations

import threading
from itertools import pairwise

import anyio
import pytest

import aiocpg
from aiocpg import GroupStatistics, Histogram
from aiocpg._exported import COUNTERS, HISTOGRAMS, Watched
from aiocpg._state.sends import OVERHEAD
from aiocpg.testing import ClusterNode, MemoryCluster
from support.handles import in_fork
from support.lines import at_each_line
from support.running import PATIENCE, in_thread, until

pytestmark = pytest.mark.anyio


async def test_messages_are_counted(node: ClusterNode) -> None:
    """Out and back, with their payload; on a real daemon."""
    async with node.connect() as cpg, cpg.join("counted") as group:
        await group.mcast_many([b"12345678"] * 100)
        with anyio.fail_after(PATIENCE):
            await group.mcast_confirmed(b"end")
        found = group.statistics()
        assert (found.group, found.member, found.state) == (b"counted", group.me, "member")
        assert (found.sent, found.sent_bytes) == (101, 803)
        assert (found.delivered, found.delivered_bytes) == (101, 803)
        assert (found.in_flight, found.in_flight_bytes, found.lost) == (0, 0, 0)
        assert (found.batch_size.count <= 101, found.batch_size.total) == (True, 101)
        assert found.delivery_seconds.count >= 1
        assert 0 < found.delivery_seconds.total < PATIENCE
        assert (found.view_changes, found.gaps) == (1, 0)
        assert cpg.statistics() == aiocpg.ConnectionStatistics((group.statistics(),), 0)
    found = cpg.statistics()
    assert (found.groups, [(one.group, one.state, one.sent) for one in found.ended]) == (
        (),
        [(b"counted", "closed", 101)],
    )
    assert (group.statistics().sent, group.state) == (101, "closed")


async def test_messages_of_others_are_counted_as_delivered(memory_cluster: MemoryCluster) -> None:
    """And not as sent."""
    async with (
        memory_cluster.node(1).connect() as one,
        memory_cluster.node(2).connect() as two,
        one.join("g") as sender,
        two.join("g") as other,
    ):
        for _ in range(3):
            await sender.mcast(b"x")
        await until(lambda: other.statistics().delivered == 3)
        assert (other.statistics().sent, other.statistics().delivered_bytes) == (0, 3)


async def test_each_lone_message_is_timed(memory_cluster: MemoryCluster) -> None:
    """The next is when the one before is back."""
    async with memory_cluster.node(1).connect() as cpg, cpg.join("g") as group:
        for _ in range(20):
            await group.mcast_confirmed(b"x")
        assert group.statistics().delivery_seconds.count == 20


async def test_what_is_out_and_the_waits_for_it_are_counted(memory_cluster: MemoryCluster) -> None:
    """A full window holds up sends; what is in it is in flight."""
    async with memory_cluster.node(1).connect() as cpg, cpg.join("g") as group:
        message = bytes(100_000)
        taken = 0
        while group.mcast_nowait(message):
            taken += 1
        found = group.statistics()
        assert (found.in_flight, found.window_waits) == (taken, 0)
        assert found.in_flight_bytes == taken * (len(message) + OVERHEAD)
        await group.mcast(message)
        assert group.statistics().window_waits > 0


async def test_what_nobody_has_read_is_counted(memory_cluster: MemoryCluster) -> None:
    """Before the first reader once, then for each reader; it goes down as they read."""
    async with memory_cluster.node(1).connect() as cpg, cpg.join("g") as group:
        for _ in range(10):
            await group.mcast_confirmed(b"1234")
        kept = group.statistics()
        assert kept.buffered_events >= 10
        readers = [group.messages(), group.messages()]
        assert group.statistics().buffered_events == 20
        assert group.statistics().buffered_bytes == 20 * (4 + 256)
        await readers[0].receive_batch()
        assert group.statistics().buffered_events == 10


async def test_loss_is_counted(memory_cluster: MemoryCluster) -> None:
    """A group that comes back has a gap, and counts on; one that does not is lost."""
    node = memory_cluster.node(1)
    async with aiocpg.connect(node.url, reconnect=True) as cpg, cpg.join("g") as group:
        await group.mcast_confirmed(b"x")
        node.kill()
        await until(lambda: group.state == "away")
        node.start()
        await until(lambda: group.state == "member")
        await group.mcast_confirmed(b"y")
        found = cpg.statistics()
        assert (found.reconnects, found.groups[0].gaps, found.groups[0].sent) == (1, 1, 2)


async def test_group_that_is_lost_is_among_those_that_have_ended(memory_cluster: MemoryCluster) -> None:
    """Closed or not, with a way back or not: who watches for it has to see it."""
    node = memory_cluster.node(1)
    async with (
        node.connect() as one,
        aiocpg.connect(node.url, reconnect=aiocpg.Reconnect(give_up_after=0.01)) as two,
        one.join("g") as first,
        two.join("h") as second,
    ):
        await first.mcast_confirmed(b"x")
        node.kill()
        await until(lambda: first.state == second.state == "lost")
        for cpg, sent in (one, 1), (two, 0):
            found = cpg.statistics()
            assert (found.groups, [(each.state, each.sent) for each in found.ended]) == ((), [("lost", sent)])


async def test_membership_counts_from_its_own_join_and_the_connection_on(memory_cluster: MemoryCluster) -> None:
    """Left and joined again, the earlier membership is among those that have ended, once."""
    async with memory_cluster.node(1).connect() as cpg:
        for number in range(1, 4):
            async with cpg.join("g") as group:
                await group.mcast_confirmed(b"x")
                assert (group.statistics().sent, len(cpg.statistics().ended)) == (1, int(number > 1))
            (ended,) = cpg.statistics().ended
            assert (ended.sent, ended.delivered_bytes) == (number, number)


async def test_child_of_a_fork_is_told_nothing(memory_cluster: MemoryCluster) -> None:
    """It is no member, whatever its parent is."""
    async with memory_cluster.node(1).connect() as cpg, cpg.join("g"):

        def is_refused() -> bool:
            try:
                cpg.statistics()
            except aiocpg.ForkedError:
                return True
            return False

        assert in_fork(is_refused)
        assert not is_refused()


async def test_any_thread_may_ask(memory_cluster: MemoryCluster) -> None:
    """While groups come and go; exporters have threads of their own."""
    async with memory_cluster.node(1).connect() as cpg:
        done = threading.Event()

        def ask() -> int:
            count = 0
            while not done.is_set():
                count += len(cpg.statistics().groups) >= 0
            return count

        async with anyio.create_task_group() as tasks:

            async def come_and_go() -> None:
                for number in range(50):
                    async with cpg.join(f"g{number}"):
                        pass
                done.set()

            tasks.start_soon(come_and_go)
            assert await in_thread(ask) > 0


async def test_what_is_exported_only_grows_while_a_group_comes_and_goes(memory_cluster: MemoryCluster) -> None:
    """Each membership is counted just once at every moment: as one that is open, or as one that has ended."""
    async with memory_cluster.node(1).connect() as cpg:
        watched = Watched(cpg)
        told: list[list[float]] = []

        def look() -> None:
            told.extend(counters(group.counted) for group in watched._snapshot()[0])

        for _ in range(2):
            with at_each_line(look):
                async with cpg.join("g") as group:
                    await group.mcast_confirmed(b"x")
        for before, after in pairwise(told):
            assert all(old <= new for old, new in zip(before, after, strict=True))
        assert told[-1][0] == 2


def counters(found: GroupStatistics) -> list[float]:
    """All that must never go down."""
    histograms: list[Histogram] = [getattr(found, series.field) for series in HISTOGRAMS]
    spread = [value for one in histograms for value in (*one.counts, one.total)]
    return [*(series.of(found) for series in COUNTERS), *spread]


async def test_counters_only_grow_at_whatever_moment_another_thread_asks(memory_cluster: MemoryCluster) -> None:
    """One that goes down is a restart to a monitor, which takes all of it for new."""
    async with memory_cluster.node(1).connect() as cpg, cpg.join("g") as group:
        found: list[GroupStatistics] = []
        with at_each_line(lambda: found.append(group.statistics())):
            await group.mcast_many([b"12345678"] * 3)
            await group.mcast(b"1")
            await group.mcast_confirmed(b"end")
        assert (found[-1].sent, found[-1].sent_bytes) == (5, 28)
        for before, after in pairwise(found):
            assert all(old <= new for old, new in zip(counters(before), counters(after), strict=True))
