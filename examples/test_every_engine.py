"""One test, every engine: ``pytest examples/test_every_engine.py``, as root for the real cluster."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import pytest

import aiocpg


@pytest.fixture(params=["memory", "local", "corosync"])
def members(request: pytest.FixtureRequest) -> list[Callable[[], aiocpg.Opening[aiocpg.Connection]]]:
    """Three ways in, each to another member."""
    match request.param:
        case "memory":
            return [node.connect for node in request.getfixturevalue("memory_cluster").nodes]
        case "corosync":
            return [node.connect for node in request.getfixturevalue("corosync_cluster").nodes]
    # There is one node at local://, and this is one process: each member says which one it is.
    world = f"local://test-{os.getpid()}"
    return [partial(aiocpg.connect, f"{world}?pid={pid}") for pid in (1, 2, 3)]


def test_all_read_the_same(members: list[Callable[[], aiocpg.Opening[aiocpg.Connection]]]) -> None:
    """Three send, three read, one order."""

    async def play() -> None:
        async with AsyncExitStack() as stack:
            groups = []
            for connect in members:
                cpg = await stack.enter_async_context(connect())
                groups.append(await stack.enter_async_context(cpg.join("orders")))
            for group in groups:
                await group.mcast(b"hello")
            read = [await take(group, len(groups)) for group in groups]
        assert read[0] == read[1] == read[2]
        assert len({sender for sender, _ in read[0]}) == len(groups)

    asyncio.run(asyncio.wait_for(play(), 30))


async def take(group: aiocpg.Group, number: int) -> list[tuple[aiocpg.Address, bytes]]:
    """So many messages."""
    found = []
    async for message in group.messages():
        found.append((message.sender, message.data))
        if len(found) == number:
            break
    return found
