"""Does a service survive a split brain? Without a daemon, in milliseconds: ``pytest examples/test_split_brain.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

import aiocpg
from aiocpg.testing import MemoryCluster

NODES = 3


class NoMajorityError(Exception):
    """This side of a cut must not write."""


class Replica:
    """The service: a value that whoever sees most nodes may change."""

    def __init__(self, group: aiocpg.Group) -> None:
        self.value = b""
        self.has_majority = False
        self._group = group

    async def write(self, value: bytes) -> None:
        """Change the value everywhere."""
        if not self.has_majority:
            raise NoMajorityError
        await self._group.mcast(value)

    async def follow(self) -> None:
        """Take what comes, in the order that all have."""
        async for event in self._group:
            match event:
                case aiocpg.View(joined=joined, stayed=stayed):
                    # Those who come did without us. The first of us tells them, if we could write meanwhile.
                    if joined and self.has_majority and stayed[:1] == (self._group.me,):
                        await self._group.mcast(self.value)
                    self.has_majority = is_majority(event)
                case aiocpg.Message(data=data, view=view) if is_majority(view):
                    self.value = data


def is_majority(view: aiocpg.View) -> bool:
    """Whether most nodes are in this view."""
    return 2 * len({member.nodeid for member in view.members}) > NODES


def test_only_the_majority_writes_and_all_agree_in_the_end(memory_cluster: MemoryCluster) -> None:
    """Also where members lag behind one another, each in its own way."""

    async def play() -> None:
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            replicas = []
            for node in memory_cluster.nodes:
                cpg = await stack.enter_async_context(node.connect())
                replicas.append(Replica(await cpg.join("value")))
            readers = [tasks.create_task(replica.follow()) for replica in replicas]
            await until(lambda: all(replica.has_majority for replica in replicas))
            memory_cluster.delay()
            await replicas[0].write(b"before")

            memory_cluster.partition({1}, {2, 3})
            await until(lambda: not replicas[0].has_majority)
            with pytest.raises(NoMajorityError):
                await replicas[0].write(b"of the minority")
            await replicas[1].write(b"of the majority")

            memory_cluster.heal()
            await until(lambda: [replica.value for replica in replicas] == [b"of the majority"] * NODES)
            for reader in readers:
                reader.cancel()

    asyncio.run(asyncio.wait_for(play(), 30))


async def until(condition: Callable[[], bool]) -> None:
    """Let the others run until it is so."""
    while not condition():  # noqa: ASYNC110 - a test may look again and again
        await asyncio.sleep(0)
