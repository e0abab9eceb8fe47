"""Trap 15: what a callback is given dies with it, and what it raises goes nowhere."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import Message
from aiocpg.testing import ClusterNode
from traps.child import naive

pytestmark = pytest.mark.anyio

MESSAGES = [b"message %03d" % number for number in range(100)]
MORE = 5000


async def test_data_stays_when_the_ring_is_used_again(fresh_node: ClusterNode) -> None:
    """Kept pointers show other messages, and exceptions vanish in C; our data are values of their own."""
    with naive(fresh_node, "trap_15_callbacks", "keep") as wrapper:
        assert int(await wrapper.says("intact")) < len(MESSAGES)
    with naive(fresh_node, "trap_15_callbacks", "fail") as wrapper:
        assert await wrapper.says("dispatched") == "1"
        await wrapper.ends_well()

    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        await group.mcast_many(MESSAGES)
        with anyio.fail_after(30):
            early = [await anext(messages) for _ in MESSAGES]
            for number in range(MORE):
                await group.mcast(b"x" * number)
                assert len((await anext(messages)).data) == number
        assert [message.data for message in early] == MESSAGES
        assert all(type(message) is Message and type(message.data) is bytes for message in early)
