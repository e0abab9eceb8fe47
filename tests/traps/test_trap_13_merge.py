"""Trap 13, a fact: histories part at a partition, and a merge does not mend them."""

from __future__ import annotations

import anyio.to_thread
import pytest

from aiocpg import Event, Group, Message, Reason, Stream, View
from aiocpg.testing import CorosyncCluster
from traps.page import says
from traps.reading import until_message

pytestmark = pytest.mark.anyio


async def test_merge_brings_members_but_not_their_messages(fresh_cluster: CorosyncCluster) -> None:
    """What one side sent never reaches the other; the view after names all of that side as joined; the docs say so."""
    one, three = fresh_cluster.node(1), fresh_cluster.node(3)
    async with one.connect() as cpg1, cpg1.join("group") as left, three.connect() as cpg3, cpg3.join("group") as right:
        streams = [left.events(), right.events()]
        await mark(streams, left, b"together")
        fresh_cluster.partition({1, 2}, {3})
        await anyio.to_thread.run_sync(fresh_cluster.wait_formed, {1, 2}, {3})
        assert (await left.mcast_confirmed(b"left")).view.members == (left.me,)
        assert (await right.mcast_confirmed(b"right")).view.members == (right.me,)
        fresh_cluster.heal()
        await anyio.to_thread.run_sync(fresh_cluster.wait_formed)
        histories = await mark(streams, left, b"merged")

        assert [data_of(history) for history in histories] == [[b"left", b"merged"], [b"right", b"merged"]]
        for group, other, history in ((left, right, histories[0]), (right, left, histories[1])):
            *_, parted, merged = [event for event in history if isinstance(event, View)]
            assert dict(parted.left) == {other.me: Reason.NODEDOWN}
            assert dict(merged.joined) == {other.me: Reason.NODEUP}
            assert merged.stayed == (group.me,)

    assert says("a member in `joined` with NODEUP has a history of its own")
    assert says("may miss messages that others deliver in the same view")


async def mark(streams: list[Stream[Event]], sender: Group, data: bytes) -> list[list[Event]]:
    """Send a message, and return what every stream has up to it."""
    await sender.mcast_confirmed(data)
    return [await until_message(stream, data) for stream in streams]


def data_of(history: list[Event]) -> list[bytes]:
    return [event.data for event in history if isinstance(event, Message)]
