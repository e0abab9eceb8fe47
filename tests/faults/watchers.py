"""Members on several nodes that look at what happens to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
import pytest

from aiocpg import Address, ConnectionLostError, Group, Reason, Stream, View
from aiocpg.testing import CorosyncCluster
from faults.watching import PATIENCE

NODES = (1, 2, 3)
GROUP = b"members"


class Watchers:
    """
    A member on each node, all in this process, and the views that each has not read yet.

    Attributes:
        groups: By node.
    """

    def __init__(self, cluster: CorosyncCluster, stack: AsyncExitStack) -> None:
        self.groups: dict[int, Group] = {}
        self._cluster = cluster
        self._stack = stack
        self._views: dict[int, Stream[View]] = {}

    async def join(self, *nodes: int) -> None:
        """Join on each of these nodes and wait until all members see all."""
        for node in nodes:
            cpg = await self._stack.enter_async_context(self._cluster.node(node).connect())
            self.groups[node] = await self._stack.enter_async_context(cpg.join(GROUP))
            self._views[node] = self.groups[node].views()
        await self.all_there()

    async def lost(self, *nodes: int) -> None:
        """Wait until each of these members has been told that its daemon is gone, and forget them."""
        for node in nodes:
            with pytest.raises(ConnectionLostError), anyio.fail_after(PATIENCE):
                while True:
                    await anext(self._views[node])
            del self.groups[node], self._views[node]

    def of(self, *nodes: int) -> set[Address]:
        """Return the members on these nodes."""
        return {self.groups[node].me for node in nodes}

    async def all_there(self) -> None:
        """Read up to the view in which everybody is."""
        for node in self.groups:
            while set((await self.next(node)).members) != self.of(*self.groups):
                pass

    async def next(self, node: int) -> View:
        """Return the next view that a node's member sees."""
        with anyio.fail_after(PATIENCE):
            return await anext(self._views[node])


@asynccontextmanager
async def watching(cluster: CorosyncCluster, nodes: Collection[int] = NODES) -> AsyncIterator[Watchers]:
    """Join on each node and wait until all see all."""
    async with AsyncExitStack() as stack:
        watchers = Watchers(cluster, stack)
        await watchers.join(*nodes)
        yield watchers


def everyone(reason: Reason, members: Collection[Address]) -> dict[Address, Reason]:
    """Return what ``joined`` or ``left`` must be."""
    return dict.fromkeys(members, reason)


async def all_talk(watchers: Watchers) -> None:
    """Have each member send and wait for its own; the group works."""
    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for group in watchers.groups.values():
                tasks.start_soon(group.mcast_confirmed, b"still here")
