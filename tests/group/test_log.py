"""What a group writes to the log."""

from __future__ import annotations

import logging
import threading

import anyio
import pytest

from aiocpg import EngineError, SlowConsumerError
from aiocpg.testing import MemoryCluster
from support.running import gone, until

pytestmark = pytest.mark.anyio


async def test_slow_reader_is_counted_and_logged_once(
    memory_cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """With the events that it has not got; the record has the fields of the group."""
    async with memory_cluster.node(1).connect() as cpg, cpg.join("g") as group:
        reader = group.messages(max_buffered_bytes=1000)
        for _ in range(10):
            await group.mcast_confirmed(b"1234")
        assert group.statistics().slow_losses == 7
        (record,) = [record for record in caplog.records if "slow" in record.getMessage()]
        assert record.levelno == logging.WARNING
        assert (record.aiocpg_group, record.aiocpg_member, record.aiocpg_view) == (  # type: ignore[attr-defined]
            "g",
            str(group.me),
            1,
        )
        del reader


async def test_reader_that_comes_too_late_is_slow(
    memory_cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told of what it has not got, so that is counted; where nothing was to be kept it is no fault."""
    async with memory_cluster.node(1).connect() as cpg:
        for name, budget, warnings in ("kept", 2000, 1), ("sends", 0, 0):
            caplog.clear()
            async with cpg.join(name, max_buffered_bytes=budget) as group:
                for _ in range(10):
                    await group.mcast_confirmed(bytes(100))
                assert group.statistics().slow_losses == 0
                with pytest.raises(SlowConsumerError) as caught:
                    await anext(group.messages())
                assert group.statistics().slow_losses == caught.value.lost == 10
            assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == warnings


class RefusesToLeave:
    """Stands for the membership of a group, where a daemon says something unheard of to one that leaves."""

    name = b"g"

    async def leave(self) -> None:
        """Fail."""
        raise EngineError("cpg_leave", 99)

    def abandon(self) -> None:
        """Do nothing."""


async def test_group_that_cannot_be_left_tells_so_with_its_fields(
    memory_cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """By itself behind another error, and with its connection; the line is that which has met it."""
    async with memory_cluster.node(1).connect() as cpg:
        with pytest.raises(ZeroDivisionError):
            async with cpg.join("g") as group:
                real = group._pump.membership
                group._pump.membership = RefusesToLeave()  # type: ignore[assignment]
                raise ZeroDivisionError
        real.abandon()
        await gone(cpg, "g")
        other = await cpg.join("g")
        real = other._pump.membership
        other._pump.membership = RefusesToLeave()  # type: ignore[assignment]
        await cpg.aclose()
        real.abandon()
    by_itself, with_its_connection = (record for record in caplog.records if record.levelno >= logging.WARNING)
    assert (by_itself.levelno, by_itself.exc_info is not None) == (logging.ERROR, True)
    for record, module in (by_itself, "_group"), (with_its_connection, "_session"):
        assert (record.aiocpg_group, record.module) == ("g", module)  # type: ignore[attr-defined]


async def test_life_of_a_group_is_logged(memory_cluster: MemoryCluster, caplog: pytest.LogCaptureFixture) -> None:
    """Joins, views and departures, once each and none for a message."""
    caplog.set_level(logging.INFO, "aiocpg")
    async with (
        memory_cluster.node(1).connect() as one,
        memory_cluster.node(2).connect() as two,
        one.join("g") as group,
    ):
        async with two.join("g"):
            await until(lambda: len(group.members) == 2)
            await group.mcast_confirmed(b"x")
        await until(lambda: len(group.members) == 1)
    ours = [record for record in caplog.records if getattr(record, "aiocpg_member", "") == str(group.me)]
    texts = [record.getMessage() for record in ours]
    assert [text.split()[2] for text in texts] == ["view", "joined", "view", "view", "view", "left"]
    assert "2 members, joined: 2:" in texts[2]
    assert "JOIN" in texts[2]
    assert {record.levelno for record in ours} == {logging.INFO}


async def test_each_of_several_views_that_come_at_once_has_its_own_number(
    memory_cluster: MemoryCluster, caplog: pytest.LogCaptureFixture
) -> None:
    """In its field as in its text; others come and go while this member's loop is busy."""
    caplog.set_level(logging.INFO, "aiocpg")
    node = memory_cluster.node(1)
    async with node.connect() as cpg, cpg.join("g") as group:

        def come_and_go() -> None:
            async def member() -> None:
                async with memory_cluster.node(2).connect() as other, other.join("g"):
                    pass

            anyio.run(member)

        elsewhere = threading.Thread(target=come_and_go)
        elsewhere.start()
        elsewhere.join()  # this loop stands still
        await until(lambda: group.view.number == 3)
        ours = [record for record in caplog.records if getattr(record, "aiocpg_member", "") == str(group.me)]
    found = [(record.getMessage().split()[3], record.aiocpg_view) for record in ours if " view " in record.getMessage()]  # type: ignore[attr-defined]
    assert found == [("1", 1), ("2", 2), ("3", 3)]
