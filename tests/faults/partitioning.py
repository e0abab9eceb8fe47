"""A campaign of partitions: a member on each of three nodes, all sending, while the network is cut and healed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack

import anyio
import anyio.to_thread

from aiocpg import Event, Group, Message
from aiocpg.testing import CorosyncCluster
from faults.agreement import Segment, segments
from faults.watching import PATIENCE, until

NODES = (1, 2, 3)
END = 10**9
"""The number of each member's last message."""


class Campaign:
    """
    Three members that send and record.

    Attributes:
        sent: By node, how many messages were sent.
    """

    def __init__(self, cluster: CorosyncCluster, seed: int) -> None:
        self._cluster = cluster
        self._rng = random.Random(seed)
        self._events: dict[int, list[Event]] = {node: [] for node in NODES}
        self._stopping = False
        self.sent = dict.fromkeys(NODES, 0)

    async def run(self, rounds: int) -> Mapping[str, list[Segment]]:
        """Cut and heal so many times, and return what each member saw."""
        async with AsyncExitStack() as stack:
            groups = {node: await self._join(stack, node) for node in NODES}
            async with anyio.create_task_group() as readers:
                for node, group in groups.items():
                    readers.start_soon(self._read, node, group)
                async with anyio.create_task_group() as senders:
                    for node, group in groups.items():
                        senders.start_soon(self._send, node, group)
                    for _ in range(rounds):
                        await self._cut_and_heal()
                    self._stopping = True
                with anyio.fail_after(PATIENCE):
                    for group in groups.values():
                        await group.mcast_confirmed(b"%d:" % END)
        return {f"node {node}": segments(events) for node, events in self._events.items()}

    async def _join(self, stack: AsyncExitStack, node: int) -> Group:
        cpg = await stack.enter_async_context(self._cluster.node(node).connect())
        return await stack.enter_async_context(cpg.join(b"partitioned"))

    async def _send(self, node: int, group: Group) -> None:
        while not self._stopping:
            for _ in range(20):
                await group.mcast(b"%d:" % self.sent[node] + bytes(self._rng.randrange(4000)))
                self.sent[node] += 1
            await anyio.sleep(0.005)  # three senders and three readers share this process and its core

    async def _read(self, node: int, group: Group) -> None:
        ends = 0
        async for event in group:
            self._events[node].append(event)
            if isinstance(event, Message):
                ends += event.data == b"%d:" % END
            if ends == len(NODES):
                return

    async def _cut_and_heal(self) -> None:
        await self._progress(200)
        sides = self._rng.choice([({1, 2}, {3}), ({1}, {2, 3}), ({1, 3}, {2})])
        self._cluster.partition(*sides)
        await anyio.to_thread.run_sync(lambda: self._cluster.wait_formed(*sides))
        await self._progress(100)
        self._cluster.heal()
        await anyio.to_thread.run_sync(self._cluster.wait_formed)
        await self._progress(200)

    async def _progress(self, messages: int) -> None:
        """Wait until each member has sent so many more."""
        goals = {node: sent + messages for node, sent in self.sent.items()}
        await until(lambda: all(self.sent[node] >= goal for node, goal in goals.items()))
