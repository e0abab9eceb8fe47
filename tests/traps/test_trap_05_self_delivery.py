"""Trap 5, a fact: what came back to its sender may be nowhere else."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from aiocpg import Group, Message, Receipt, Stream
from aiocpg.testing import CorosyncCluster
from traps.page import says

pytestmark = pytest.mark.anyio

ROUNDS = 5
"""A daemon that goes on with the token still there delivers to itself; this was so in every first round seen."""


async def test_receipt_of_a_node_that_was_away_says_nothing_about_others(fresh_cluster: CorosyncCluster) -> None:
    """A paused node gives receipts in a view that is gone, for messages that nobody else gets; the docs say so."""
    one, three = fresh_cluster.node(1), fresh_cluster.node(3)
    async with one.connect() as cpg, cpg.join("group") as other, three.connect() as away, away.join("group") as paused:
        messages = other.messages()
        for number in range(ROUNDS):
            receipt = await confirmed_by_paused(fresh_cluster, paused, b"%d" % number)
            await paused.mcast_confirmed(b"end %d" % number)
            arrived = await messages_until(messages, b"end %d" % number)
            if b"%d" % number not in arrived and other.me in receipt.view.members:
                break
        else:
            raise AssertionError("no message came back in the old view and stayed away from the others")

    assert "does not say that others have it" in " ".join((Receipt.__doc__ or "").split())
    assert "does not say that others have it" in " ".join((Group.mcast_confirmed.__doc__ or "").split())
    assert says("your own copy is not a copy elsewhere")


async def confirmed_by_paused(cluster: CorosyncCluster, group: Group, data: bytes) -> Receipt:
    """Confirm a message while the daemon of node 3 stands still and the others form a ring without it."""
    three = cluster.node(3)
    three.stop()
    async with anyio.create_task_group() as tasks:
        receipts: list[Receipt] = []

        async def send() -> None:
            receipts.append(await group.mcast_confirmed(data))

        tasks.start_soon(send)
        await anyio.to_thread.run_sync(cluster.wait_formed, {1, 2})
        three.cont()
    await anyio.to_thread.run_sync(cluster.wait_formed)
    return receipts[0]


async def messages_until(messages: Stream[Message], last: bytes) -> list[bytes]:
    arrived: list[bytes] = []
    with anyio.fail_after(30):
        while last not in arrived:
            arrived.append((await anext(messages)).data)
    return arrived
