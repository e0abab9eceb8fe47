"""Handles on nodes that part, meet, stand still, lag, die and come back: nothing hangs, and every outcome is known."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random

import anyio
import pytest

from aiocpg import ConnectionLostError, Guarantee, MessageLostError, Reconnect, evs
from aiocpg.evs import Delivery, Evs, Ticket, _returns
from aiocpg.testing import MemoryCluster, MemoryNode
from support.evs import deafen, receipt, together
from support.running import PATIENCE, turns

pytestmark = pytest.mark.anyio

NODES = 4


class Member:
    """Reads all, and sends messages of all kinds until told to stop; some of its calls are cancelled."""

    def __init__(self, handle: Evs, seed: int) -> None:
        self.handle = handle
        self.random = Random(seed)
        self.sent: dict[bytes, Ticket] = {}
        self.got: Counter[bytes] = Counter()
        self.is_to_stop = False

    async def read(self) -> None:
        """Up to the end."""
        async for event in self.handle:
            if isinstance(event, Delivery):
                self.got[event.data] += 1

    async def send(self) -> None:
        """Until told to stop."""
        number = 0
        while not self.is_to_stop:
            number += 1
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._send_one, b"%d %d " % (id(self), number), tasks.cancel_scope)
                if self.random.random() < 0.2:
                    await turns(self.random.randrange(6))
                    tasks.cancel_scope.cancel()
            await turns(self.random.randrange(4))

    async def _send_one(self, name: bytes, scope: anyio.CancelScope) -> None:
        size = self.random.choice([0, 100, 5000, 1_100_000 if self.random.random() < 0.1 else 0])
        data = name.ljust(size)
        with suppress(ConnectionLostError, MessageLostError):
            self.sent[data] = await self.handle.mcast_groups(["g"], data, guarantee=self.random.choice(list(Guarantee)))
        scope.cancel()

    async def outcomes(self) -> set[bytes]:
        """Which messages were delivered here; those of the rest are known to be lost or unknown."""
        delivered = set()
        for data, ticket in self.sent.items():
            with suppress(ConnectionLostError, MessageLostError):
                await receipt(ticket)
                delivered.add(data)
        return delivered


async def storm(cluster: MemoryCluster, members: list[Member], random: Random) -> None:
    """Twenty faults, then none."""
    for _ in range(20):
        await turns(random.randrange(60))
        node = random.choice(cluster.nodes)
        match random.randrange(7):
            case 0:
                cluster.partition(random.choice([{1, 2}, {node.nodeid}]))
            case 1:
                cluster.heal()
            case 2:
                cluster.delay(node.nodeid, most=random.randrange(1, 4))
            case 3:
                deafen(random.choice(members).handle)
            case 4 | 5 if node.members:
                random.choice([MemoryNode.stop, MemoryNode.cont, MemoryNode.kill])(node)
            case _ if not node.members:
                node.start()
    cluster.restore()


@pytest.mark.parametrize("seed", range(3))
async def test_every_outcome_is_known_and_all_are_together_when_the_faults_end(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Each message came at most once to its sender, and at all if its receipt says so."""
    monkeypatch.setattr(_returns, "FIRST_PAUSE_SECONDS", 0.001)
    random = Random(seed)
    with MemoryCluster(nodes=NODES, seed=seed) as cluster:
        members = [
            Member(
                await evs.connect(
                    cluster.node(nodeid).url,
                    reconnect=Reconnect(first_pause=0.002, longest_pause=0.01),
                    window=random.choice([3000, 4 << 20]),
                    evict_after=(None, 1.0, 1.0)[seed],
                    strict_views=seed == 2,
                ),
                seed + nodeid,
            )
            for nodeid in range(1, NODES + 1)
        ]
        with anyio.fail_after(2 * PATIENCE):
            async with anyio.create_task_group() as reading:
                for member in members:
                    await member.handle.join("g")
                    reading.start_soon(member.read)
                async with anyio.create_task_group() as sending:
                    for member in members:
                        sending.start_soon(member.send)
                    await storm(cluster, members, random)
                    for member in members:
                        member.is_to_stop = True
                outcomes = [await member.outcomes() for member in members]
                await together([member.handle for member in members])
                for member in members:
                    await receipt(await member.handle.mcast_groups(["g"], b"", guarantee=Guarantee.SAFE))
                    assert member.handle.statistics.under_way == 0
                for member in members:
                    await member.handle.aclose()
    for member, delivered in zip(members, outcomes, strict=True):
        assert delivered <= member.got.keys()
        assert {member.got[data] for data in member.sent} <= {0, 1}
