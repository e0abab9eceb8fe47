"""
Clusters inside this process, for tests: the nodes and the faults of a :class:`CorosyncCluster`, without any daemon.

What is done to one is done when the call returns. So waiting ends at once, unless another task or thread has yet to do
what is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from aiocpg import Connection
from aiocpg._connection import engine_of
from aiocpg.engine.memory import LOCK, MemoryEngine, World, check_name, find_world, private_name

from ._errors import ClusterError
from ._memory_node import MemoryNode
from ._waiting import Steps, until, wait


class MemoryCluster:
    """
    A cluster inside this process that ends with the block: nodes without daemons, and faults that take no time.

    A test that uses what both have runs on it and on a :class:`CorosyncCluster` unchanged. Nothing has to be installed,
    and no rights are needed. All methods may be called from any thread.

    Args:
        nodes: How many, 1 to 64.
        name: Makes it ``memory://NAME``, for programs that are given a URL; without one nobody comes in who was not
            given the URL of a node.
        seed: Of what :meth:`delay` leaves to chance.
        quorum: Whether more than half of the nodes, running or not, are a quorum; without it the state is
            :class:`aiocpg.NoQuorumProvider`.

    Example::

        with MemoryCluster(nodes=3) as cluster:
            cluster.node(3).kill()
            cluster.wait_formed({1, 2})
    """

    def __init__(self, nodes: int = 3, *, name: str | None = None, seed: int = 0, quorum: bool = True) -> None:
        if not isinstance(nodes, int) or not 1 <= nodes <= 64:
            raise ValueError(f"a cluster has 1 to 64 nodes, not {nodes!r}")
        if name is not None:
            check_name(name)
        self._count = nodes
        self._name = name
        self._seed = seed
        self._has_quorum = quorum
        self._world: World | None = None
        self._nodes: tuple[MemoryNode, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def nodes(self) -> tuple[MemoryNode, ...]:
        """A tuple of all nodes, in the order of their numbers; empty unless the cluster is started."""
        return self._nodes

    def node(self, nodeid: int) -> MemoryNode:
        """The node with this number; they count from 1."""
        if not self._nodes:
            raise ValueError("the cluster is not started: use it in a `with` block, or call start()")
        if not 1 <= nodeid <= len(self._nodes):
            raise ValueError(f"there is no node {nodeid}: the cluster has {len(self._nodes)} nodes, from 1")
        return self._nodes[nodeid - 1]

    def start(self) -> None:
        """
        Start the nodes. All are on one ring when it returns.

        Raises:
            ClusterError: It is started already, or there is a world of this name.
        """
        if self._world is not None:
            raise ClusterError("the cluster is started already", "close() it first")
        name = private_name() if self._name is None else self._name
        with LOCK:
            world = find_world(name, to_control=True)
            if world.nodes or world.is_controlled:
                raise ClusterError(f"memory://{name} exists already", "close what is open in it, or take another name")
            world.control(range(1, self._count + 1), self._seed, has_quorum=self._has_quorum)
        self._world = world
        self._nodes = tuple(MemoryNode(world, nodeid) for nodeid in world.nodes)

    def close(self) -> None:
        """End the nodes. Connections that are still open are lost; closing twice is fine."""
        world, self._world = self._world, None
        self._nodes = ()
        if world is not None:
            with LOCK:
                world.release()

    def partition(self, *sides: Iterable[int]) -> None:
        """
        Cut the network so that nodes reach those of their own side only. Returns when the rings have formed.

        Nodes not named are one more side. A later call replaces this one, :meth:`heal` undoes it.

        Args:
            sides: Sets of node numbers, without overlap.
        """
        checked = self._checked(sides)
        with LOCK:
            self._started().partition(checked)

    def heal(self) -> None:
        """Let every node reach every other again, without delay; undoes :meth:`partition` and :meth:`delay`."""
        with LOCK:
            self._started().partition(())
        for node in self._nodes:
            node._delay(None)

    def delay(self, *nodeids: int, most: int = 3) -> None:
        """
        Let the members on these nodes lag, each in its own way and never out of order; :meth:`heal` undoes it.

        Each time the event loop goes round, a member gets 0 to ``most`` of the records that wait for it, as drawn for
        it with the cluster's seed. No clock is asked: a program that does the same again meets the same again. (trio
        schedules tasks at random, there only the portions are the same.)

        Args:
            nodeids: The nodes; none means all.
            most: Messages and changes, at least 1. The smaller, the further members lag.
        """
        if most < 1:
            raise ValueError(f"members get at least 1 at a time, or they never get anything; not {most}")
        self._started()
        for node in [self.node(nodeid) for nodeid in nodeids] or self._nodes:
            node._delay(most)

    def crash(self, connection: Connection) -> None:
        """
        End the process that a connection is, without a word: the connection is lost, others see PROCDOWN.

        With ``reconnect`` it comes back, as another process.

        Raises:
            ValueError: The connection is none of this cluster's.
        """
        engine = engine_of(connection)
        with LOCK:
            if not isinstance(engine, MemoryEngine) or engine.world is not self._started():
                raise ValueError(f"{connection!r} is none of this cluster's")
            engine.world.crash(engine)

    def restore(self, timeout: float = 30) -> None:
        """
        Undo every fault: all nodes run and serve, and are one ring. Connections are left alone.

        Args:
            timeout: As :class:`CorosyncCluster` has it; nothing takes time here.
        """
        self._started()
        self.heal()
        for node in self._nodes:
            node._restore()

    async def until_restored(self, timeout: float = 30) -> None:  # noqa: ASYNC109 - as CorosyncCluster has it
        """As :meth:`restore`, for coroutines."""
        self.restore(timeout)

    def wait_formed(self, *sides: Iterable[int], timeout: float = 30) -> None:
        """
        Wait until each of these sides is a ring of exactly its nodes; without arguments, until all nodes are one ring.

        Args:
            sides: Sets of node numbers. Nodes not named are not looked at.
            timeout: Seconds, for all together, that others have to bring it about.

        Raises:
            ClusterError: A node does not run, or it took longer.
        """
        wait(self._forming(sides, time.monotonic() + timeout))

    async def until_formed(self, *sides: Iterable[int], timeout: float = 30) -> None:  # noqa: ASYNC109 - with the reason
        """As :meth:`wait_formed`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._forming(sides, time.monotonic() + timeout))

    def _forming(self, sides: Sequence[Iterable[int]], deadline: float) -> Steps[None]:
        wanted = self._checked(sides) or [[node.nodeid for node in self._nodes]]
        for side in wanted:
            for nodeid in side:
                yield from self.node(nodeid)._getting_members(side, deadline)

    def _checked(self, sides: Sequence[Iterable[int]]) -> list[list[int]]:
        """The sides as sorted lists. Raises where the cluster is not running, or they are none of its sides."""
        self._started()
        named: set[int] = set()
        for side in sides:
            if not isinstance(side, Iterable):
                raise TypeError(f"sides are sets of node numbers, as in partition({{1}}, {{2, 3}}), not {side!r}")
            for nodeid in set(side):
                self.node(nodeid)
                if nodeid in named:
                    raise ValueError(f"node {nodeid} is on two sides")
                named.add(nodeid)
        return [sorted(set(side)) for side in sides]

    def _started(self) -> World:
        if self._world is None:
            raise ClusterError("the cluster is not running", "start() it, or use it as a context manager")
        return self._world
