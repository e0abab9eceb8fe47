"""What a group writes to the log."""

from __future__ import annotations

import logging

import pytest

from aiocpg.testing import MemoryCluster
from support.running import until

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
