"""Taking in what comes out of a group: in the turn in which it came, a fair part at a time, and never twice at once."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

import aiocpg
from aiocpg import ConnectionLostError, CPGError, Group, Message, SlowConsumerError
from aiocpg._loop import current_port
from aiocpg.evs._reading import BYTES_PER_TURN, Batch, Reading
from aiocpg.testing import MemoryCluster
from support.running import turns, until

pytestmark = pytest.mark.anyio


class Taker:
    """
    Notes what it is told.

    Attributes:
        told: Payloads of each batch, and everything else by its name.
        then: Called with each batch.
    """

    def __init__(self) -> None:
        self.told: list[object] = []
        self.then: Callable[[], object] = lambda: None

    def on_batch(self, batch: Batch) -> None:
        """See Taker."""
        self.told.append([event.data for event in batch if type(event) is Message])
        self.then()

    def on_missed(self, error: SlowConsumerError) -> None:
        """See Taker."""
        self.told.append("missed")

    def on_end(self, error: CPGError | None) -> None:
        """See Taker."""
        self.told.append(type(error).__name__ if error else "end")

    def on_crash(self, error: BaseException) -> None:
        """See Taker."""
        self.told.append(type(error).__name__)

    @property
    def messages(self) -> list[bytes]:
        """All that came."""
        return [data for batch in self.told if isinstance(batch, list) for data in batch]


@contextlib.asynccontextmanager
async def read(cluster: MemoryCluster) -> AsyncIterator[tuple[Group, Taker, Reading]]:
    """A group that is read."""
    async with aiocpg.connect(cluster.node(1).url) as cpg, cpg.join("group", max_buffered_bytes=1 << 20) as group:
        taker = Taker()
        reading = Reading(group, current_port(), taker)
        reading.begin()
        yield group, taker, reading


async def test_what_had_come_is_read_at_once_and_what_comes_when_it_does() -> None:
    """The end comes behind it."""
    with MemoryCluster() as cluster:
        async with read(cluster) as (group, taker, _):
            assert taker.told == [[]]  # the beginning: no messages yet
            await group.mcast(b"one")
            await until(lambda: taker.messages == [b"one"])
        await until(lambda: taker.told[-1] == "end")
        assert taker.told.count("end") == 1


async def test_much_at_once_is_read_in_parts() -> None:
    """A turn of the loop each, in order, whatever comes meanwhile."""
    size, number = 1024, 3 * BYTES_PER_TURN // 1024
    with MemoryCluster() as cluster:
        async with read(cluster) as (group, taker, _):
            sent = [b"%d" % count + bytes(size) for count in range(number)]
            await group.mcast_many(sent)
            await group.mcast(b"last")
            await until(lambda: taker.messages[-1:] == [b"last"])
            assert taker.messages == [*sent, b"last"]
            batches = [batch for batch in taker.told if isinstance(batch, list)]
            assert all(sum(map(len, batch)) < BYTES_PER_TURN + 2 * size for batch in batches)


async def test_what_arrives_while_it_is_told_waits_its_turn() -> None:
    """The end of the group, here, brought about by a batch itself."""
    with MemoryCluster() as cluster:
        async with read(cluster) as (group, taker, _):

            def close() -> None:
                group._pump.close()
                taker.told.append("told")

            taker.then = close
            await group.mcast(b"one")
            await until(lambda: "end" in taker.told)
            assert taker.told[1:] == [[b"one"], "told", "end"]


async def test_loss_of_the_engine_is_the_end_with_its_error() -> None:
    """Once."""
    with MemoryCluster() as cluster, pytest.raises(ConnectionLostError):
        async with read(cluster) as (group, taker, _):
            cluster.node(1).kill()
            await until(lambda: "ConnectionLostError" in taker.told)
            await turns()
            assert taker.told.count("ConnectionLostError") == 1
            await group.mcast(b"lost")


async def test_error_of_who_is_told_goes_to_him_and_he_ends_it() -> None:
    """Nothing is told when it is closed; repeating does nothing."""
    with MemoryCluster() as cluster:
        async with read(cluster) as (group, taker, reading):
            taker.then = lambda: int("no")
            await group.mcast(b"one")
            await until(lambda: "ValueError" in taker.told)
            reading.close()
            reading.close()
            await group.mcast(b"two")
            await turns(20)
            assert taker.messages == [b"one"]


async def test_interrupt_is_told_too_and_passed_on() -> None:
    """Or who is told would wait for ever, since nothing is read any more."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with MemoryCluster() as cluster:
        async with read(cluster) as (group, taker, reading):
            taker.then = interrupt
            with pytest.raises(KeyboardInterrupt):
                reading._tap._inbox.put([Message(group.name, group.me, b"one", 1, group.view)], 1)
            assert taker.told[-1] == "KeyboardInterrupt"


async def test_lost_events_are_told_and_reading_goes_on() -> None:
    """As where the loop has stood still."""
    with MemoryCluster() as cluster:
        async with read(cluster) as (group, taker, reading):
            inbox = reading._tap._inbox
            limit, inbox._limit = inbox._limit, 0
            await group.mcast(b"lost")
            await until(lambda: "missed" in taker.told)
            inbox._limit = limit
            await group.mcast(b"again")
            await until(lambda: taker.messages == [b"again"])
