"""Trap 6: corosync buffers without limit for a member that does not dispatch, and nobody sends slower for it."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import ConfigurationChange, Event, Group, Message, SlowConsumerError, Stream, View
from aiocpg.testing import ClusterNode
from traps.child import naive

pytestmark = pytest.mark.anyio

MIB = 1 << 20
MESSAGE = bytes(64 * 1024)
FLOOD_BYTES = 96 * MIB
HARM_BYTES = 48 * MIB
BUDGET = MIB


async def test_corosync_does_not_grow_when_a_reader_lags(fresh_node: ClusterNode) -> None:
    """A naive pause makes corosync grow by what was sent; ours keeps dispatching, and tells the reader what it lost."""
    async with fresh_node.connect() as cpg, cpg.join("group", max_buffered_bytes=BUDGET) as group:
        lagging = group.events()
        async with group.messages(max_buffered_bytes=3 * FLOOD_BYTES) as keeping_up:
            await flood(group)
            before = fresh_node.rss
            await flood(group)
            assert fresh_node.rss - before < HARM_BYTES / 4
            assert [len(message.data) for message in await keeping_up.receive_batch()] == [len(MESSAGE)] * 2 * COUNT

        kept, lost = await read_until_loss(lagging)
        assert kept + lost == 2 * COUNT
        assert kept * len(MESSAGE) <= BUDGET
        assert {type(event) for event in await lagging.receive_batch()} == {ConfigurationChange, View}

        with naive(fresh_node, "trap_06_pause_reading") as wrapper:
            await wrapper.says("paused")
            before = fresh_node.rss
            await flood(group)
            assert fresh_node.rss - before > HARM_BYTES


COUNT = FLOOD_BYTES // len(MESSAGE)


async def flood(group: Group) -> None:
    with anyio.fail_after(30):
        await group.mcast_many([MESSAGE] * (COUNT - 1))
        await group.mcast_confirmed(MESSAGE)


async def read_until_loss(events: Stream[Event]) -> tuple[int, int]:
    """Return how many messages a reader got, and how many it was told are lost."""
    kept = 0
    while True:
        try:
            kept += isinstance(await anext(events), Message)
        except SlowConsumerError as error:
            return kept, error.lost
