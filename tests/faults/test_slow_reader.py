"""A reader that stops reading costs its process its budget and nobody else anything; the others run at full speed."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiocpg import Group, Message, SlowConsumerError, Stream
from aiocpg.testing import ClusterNode
from faults.flooding import BATCH, FLOODS, MIB, Flood, flood_past_a_slow_reader
from faults.watching import Measured

pytestmark = pytest.mark.anyio

SOME = 100_000
"""Messages that make 100 MB; the campaigns send ten times as many."""


@pytest.mark.parametrize("flood", FLOODS.values(), ids=FLOODS.keys())
async def test_slow_reader_costs_its_budget_and_no_more(
    fresh_node: ClusterNode, flood: Flood, tmp_path: Path, measured: Measured
) -> None:
    """It holds what fits, loses the rest and says how much, and goes on with the membership in force, then events."""
    await flood_past_a_slow_reader(fresh_node, flood, tmp_path, measured, SOME)


async def test_other_readers_of_the_same_group_get_everything_when_one_is_slow(fresh_node: ClusterNode) -> None:
    """The budget is each reader's own, and each is told of its own loss."""
    async with fresh_node.connect() as cpg, cpg.join(b"two", max_buffered_bytes=1 * MIB) as group:
        slow, quick = group.messages(), group.messages()
        got = await send_and_read(group, quick, 5000)
        assert got == list(range(5000))
        held = await slow.receive_batch()
        with pytest.raises(SlowConsumerError) as caught:
            await slow.receive_batch()
        assert len(held) + caught.value.lost == 5000
        await group.mcast(b"5000")
        assert (await anext(slow)).data == b"5000"


async def send_and_read(group: Group, stream: Stream[Message], count: int) -> list[int]:
    """Send numbers in messages of 1000 bytes, and read them."""
    numbers: list[int] = []
    for start in range(0, count, BATCH):
        await group.mcast_many([b"%0999d" % number for number in range(start, start + BATCH)])
        while len(numbers) < start + BATCH:
            numbers += [int(message.data) for message in await stream.receive_batch()]
    return numbers
