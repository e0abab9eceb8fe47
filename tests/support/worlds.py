"""The worlds for the conformance suite: real daemons, an engine per node of a cluster, and nodes inside the process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable

from aiocpg._loop import current_port
from aiocpg.engine import open_engine
from aiocpg.engine._base import Engine
from aiocpg.testing import ClusterNode, CorosyncCluster, MemoryCluster, MemoryNode
from aiocpg.testing.conformance import Abilities


class CorosyncWorld:
    """
    See :class:`aiocpg.testing.conformance.World`.

    A process joins a group once per node, so each engine is on a node of its own.
    """

    name = "corosync://"

    def __init__(self, cluster: CorosyncCluster) -> None:
        self._cluster = cluster
        self._homes: list[tuple[Engine, ClusterNode]] = []
        self.abilities = Abilities(lose=self._lose, stall=self._stall, cut=self._cut, congest=self._stall)

    async def reset(self) -> None:
        """All nodes run, on one ring."""
        self._homes.clear()
        await self._cluster.until_restored()

    async def open(self) -> Engine:
        """On the next node."""
        node = self._cluster.nodes[len(self._homes)]
        engine = await open_engine("corosync://", current_port(), enter=node.enter)
        self._homes.append((engine, node))
        return engine

    def _home(self, engine: Engine) -> ClusterNode:
        return next(node for one, node in self._homes if one is engine)

    async def _lose(self, engine: Engine) -> None:
        self._home(engine).kill()

    @contextlib.asynccontextmanager
    async def _stall(self, engine: Engine) -> AsyncIterator[None]:
        node = self._home(engine)
        node.stop()
        try:
            yield
        finally:
            node.cont()  # to one that was killed meanwhile it does nothing

    @contextlib.asynccontextmanager
    async def _cut(self, here: Iterable[Engine], there: Iterable[Engine]) -> AsyncIterator[None]:
        sides = [{self._home(engine).nodeid for engine in side} for side in (here, there)]
        self._cluster.partition(*sides)
        try:
            yield
        finally:
            self._cluster.heal()


class MemoryWorld:
    """
    See :class:`aiocpg.testing.conformance.World`.

    Each engine is a process on a node of its own, so that what is done to one is not done to the others.
    """

    name = "memory://"

    def __init__(self, cluster: MemoryCluster) -> None:
        self._cluster = cluster
        self._homes: list[tuple[Engine, MemoryNode]] = []
        self.abilities = Abilities(lose=self._lose, stall=self._stall, cut=self._cut, congest=self._congest)

    async def reset(self) -> None:
        """All nodes run, on one ring."""
        self._homes.clear()
        self._cluster.restore()

    async def open(self) -> Engine:
        """On the next node."""
        node = self._cluster.nodes[len(self._homes)]
        engine = await open_engine(node.url, current_port())
        self._homes.append((engine, node))
        return engine

    def _home(self, engine: Engine) -> MemoryNode:
        return next(node for one, node in self._homes if one is engine)

    async def _lose(self, engine: Engine) -> None:
        self._home(engine).kill()

    @contextlib.asynccontextmanager
    async def _stall(self, engine: Engine) -> AsyncIterator[None]:
        node = self._home(engine)
        node.stop()
        try:
            yield
        finally:
            if node.members:  # else it was killed meanwhile
                node.cont()

    @contextlib.asynccontextmanager
    async def _congest(self, engine: Engine) -> AsyncIterator[None]:
        node = self._home(engine)
        node.congest()
        try:
            yield
        finally:
            node.relieve()

    @contextlib.asynccontextmanager
    async def _cut(self, here: Iterable[Engine], there: Iterable[Engine]) -> AsyncIterator[None]:
        self._cluster.partition(*[{self._home(engine).nodeid for engine in side} for side in (here, there)])
        try:
            yield
        finally:
            self._cluster.heal()
