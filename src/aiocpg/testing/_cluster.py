"""
Real Corosync clusters on one machine, for tests: nodes are network and mount namespaces, links are bridges.

A partition is one bridge per side: the nodes' ports are moved to other bridges, as one would move cables between
switches. No link goes down, so the daemons learn of it by silence only, as they would in a real network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Literal, Self

import anyio

from . import _links
from ._conf import Settings
from ._control import Control
from ._errors import ClusterError
from ._node import ClusterNode
from ._waiting import Steps, in_thread, until, wait


class CorosyncCluster:
    """
    A cluster of real corosync daemons that ends with the block, or with the process at the latest.

    Nothing of it can be seen outside, and any number may run side by side. Needs corosync, iproute2, and root or
    ``python -m aiocpg.testing``. With ``async with`` the loop runs on while it starts and ends; cancelled while it
    starts, it leaves nothing. Faults are quick plain calls; waiting comes as `wait_...` for threads and as `until_...`
    for coroutines.

    Args:
        nodes: How many, 1 to 64.
        shm_size: Of each node's /dev/shm, as tmpfs has it; a CPG client takes 3 MiB of it.
        sched_rr: Whether the daemons ask for real-time scheduling, as they do in production.
        token: Milliseconds until a lost token, and with it a silent node, is noticed. Under heavy load a short one
            breaks rings that are healthy.
        extra_uidgid: User ids besides root that may use the daemons.
        transport: "udpu" forms quicker and takes less memory, "knet" is what production uses.
        quorum: Whether corosync_votequorum decides which nodes are the majority, with a vote for each node; without it
            the state is :class:`aiocpg.NoQuorumProvider`.

    Example::

        with CorosyncCluster(nodes=3) as cluster:
            cluster.node(3).kill()
            cluster.wait_formed({1, 2})
    """

    def __init__(
        self,
        nodes: int = 3,
        *,
        shm_size: str = "256M",
        sched_rr: bool = False,
        token: int = 500,
        extra_uidgid: Sequence[int] = (),
        transport: Literal["udpu", "knet"] = "udpu",
        quorum: bool = True,
    ) -> None:
        self._settings = Settings(nodes, shm_size, sched_rr, token, tuple(extra_uidgid), transport, quorum)
        self._control: Control | None = None
        self._nodes: tuple[ClusterNode, ...] = ()
        self._deaf: set[tuple[int, int]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        self._check_not_started()
        try:
            with anyio.CancelScope(shield=True):  # milliseconds, and half a cluster could not be closed meanwhile
                await until(in_thread(self._make))
            await until(self._starting(time.monotonic() + 30))
        except BaseException:
            await self._until_closed()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._until_closed()

    async def _until_closed(self) -> None:
        with anyio.CancelScope(shield=True):
            await until(in_thread(self.close))

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        """A tuple of all nodes, in the order of their numbers; empty unless the cluster is started."""
        return self._nodes

    def node(self, nodeid: int) -> ClusterNode:
        """The node with this number; they count from 1."""
        if not self._nodes:
            raise ValueError("the cluster is not started: use it in a `with` block, or call start()")
        if not 1 <= nodeid <= len(self._nodes):
            raise ValueError(f"there is no node {nodeid}: the cluster has {len(self._nodes)} nodes, from 1")
        return self._nodes[nodeid - 1]

    def start(self, timeout: float = 30) -> None:
        """
        Make the nodes and start their daemons. Returns when all are on one ring and let CPG clients in.

        Args:
            timeout: Seconds.

        Raises:
            ClusterError: Something is missing, or the ring did not form; the text says what to do or has the log.
        """
        self._check_not_started()
        try:
            self._make()
            wait(self._starting(time.monotonic() + timeout))
        except BaseException:
            self.close()
            raise

    def _check_not_started(self) -> None:
        if self._control is not None:
            raise ClusterError("the cluster is started already", "close() it first")

    def _make(self) -> None:
        """Make the nodes and their network, and start the daemons; :meth:`close` ends what there is of them."""
        self._control = Control()
        for nodeid in self._settings.nodeids:
            self._nodes += (ClusterNode(nodeid, self._control, self._settings),)
        self._connect()
        for node in self._nodes:
            node.start()

    def _starting(self, deadline: float) -> Steps[None]:
        try:
            yield from self._forming((), deadline)
            for node in self._nodes:
                yield from node._getting_ready(deadline)
        except ClusterError as error:
            logs = "\n".join(f"log of node {node.nodeid}:\n{node.log}" for node in self._nodes)
            raise ClusterError(error.reason, f"the logs may tell why\n{logs}") from None

    def close(self) -> None:
        """End all that runs on the nodes, and the nodes. Returns when it is gone; closing twice is fine."""
        control, self._control = self._control, None
        nodes, self._nodes = self._nodes, ()
        self._deaf = set()
        if control is not None:
            try:
                control.close()
            finally:
                for node in nodes:
                    node._close()

    def partition(self, *sides: Iterable[int]) -> None:
        """
        Cut the network so that nodes reach those of their own side only. Returns when it is cut.

        Nodes not named are one more side. A later call replaces this one, :meth:`heal` undoes it.

        Args:
            sides: Sets of node numbers, without overlap.
        """
        self._connect(self._checked(sides))

    def deafen(self, nodeid: int, *, to: int) -> None:
        """
        Let a node no longer hear another, which still hears it: loss in one direction. :meth:`heal` undoes it.

        The other node gets a wrong hardware address for this one, so what it sends there arrives nowhere. With three
        nodes, Corosync 3.1.7 goes on without the one that is not heard, and that one finds no ring until it is.

        Args:
            nodeid: The node that goes deaf.
            to: The node it does not hear.
        """
        if nodeid == to or not {nodeid, to} <= {node.nodeid for node in self._nodes}:
            raise ValueError(f"a node goes deaf to another one of this cluster's: {nodeid} to {to}")
        self._set_deaf(nodeid, to, deaf=True)

    def heal(self) -> None:
        """
        Let every node reach every other again, both ways, at full speed. Returns when the network is whole.

        Undoes :meth:`partition`, :meth:`deafen`, and the nodes' `limit_rate` and `degrade`. The rings merge after.
        """
        for nodeid, to in sorted(self._deaf):
            self._set_deaf(nodeid, to, deaf=False)
        for node in self._nodes:
            node.limit_rate(None)
        self._connect()

    def _connect(self, cut: Sequence[Sequence[int]] = ()) -> None:
        """Plug the nodes together; those that `cut` does not name are one side."""
        named = {nodeid for side in cut for nodeid in side}
        rest = [node.nodeid for node in self._nodes if node.nodeid not in named]
        self._started().ask("connect", sides=[list(side) for side in [*cut, rest] if side])

    def _set_deaf(self, nodeid: int, to: int, *, deaf: bool) -> None:
        control = self._started()
        lines = [_links.deafening_line(nodeid, deaf=deaf)]
        control.ask("configure_node", node=to, program=control.ip, lines=lines, cure="see the words of `ip`")
        (self._deaf.add if deaf else self._deaf.discard)((nodeid, to))

    def restore(self, timeout: float = 30) -> None:
        """
        Undo every fault: all nodes run, the network is whole, /dev/shm is free, all are one ring and let clients in.

        Daemons that have ended are started again, and what daemons that ended by force left in /dev/shm is removed.
        Where nothing is broken it takes milliseconds. Programs and connections on the nodes are left alone.

        Args:
            timeout: Seconds.

        Raises:
            ClusterError: It could not be done, or took longer; make a new cluster.
        """
        wait(self._restoring(time.monotonic() + timeout))

    async def until_restored(self, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the log
        """As :meth:`restore`, for coroutines; cancelled, it leaves the cluster on its way back."""
        await until(self._restoring(time.monotonic() + timeout))

    def _restoring(self, deadline: float) -> Steps[None]:
        self.heal()
        for node in self._nodes:
            yield from node._restoring(deadline)
        is_whole = self._is_one_ring({node.nodeid for node in self._nodes})
        yield from self._forming((), deadline)
        for node in self._nodes:
            if not is_whole:
                yield from node._getting_ready(deadline)

    def wait_formed(self, *sides: Iterable[int], timeout: float = 30) -> None:
        """
        Wait until each of these sides is a ring of exactly its nodes; without arguments, until all nodes are one ring.

        A fault is seen by the daemons after a second or so: behind one, name the sides that it leads to.

        Args:
            sides: Sets of node numbers. Nodes not named are not looked at.
            timeout: Seconds, for all together.

        Raises:
            ClusterError: A daemon has ended, or it took longer; the text has its log.
        """
        wait(self._forming(sides, time.monotonic() + timeout))

    async def until_formed(self, *sides: Iterable[int], timeout: float = 30) -> None:  # noqa: ASYNC109 - with the log
        """As :meth:`wait_formed`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._forming(sides, time.monotonic() + timeout))

    def _forming(self, sides: Sequence[Iterable[int]], deadline: float) -> Steps[None]:
        wanted = self._checked(sides) or [[node.nodeid for node in self._nodes]]
        while not all(self._is_one_ring(set(side)) for side in wanted):
            for side in wanted:
                self._check_wait(side, deadline)
            yield

    def _check_wait(self, side: Sequence[int], deadline: float) -> None:
        # Who is not there yet is named first. A node may also have the nodes of before, and not the ring of now.
        for node in sorted(map(self.node, side), key=lambda node: node.members == tuple(side)):
            node._check_wait(deadline, f"was not on a ring of {tuple(side)} in time")

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

    def _is_one_ring(self, side: set[int]) -> bool:
        nodes = [self.node(nodeid) for nodeid in side]
        return len({node._ring for node in nodes}) == 1 and {node.members for node in nodes} == {tuple(sorted(side))}

    def _started(self) -> Control:
        if self._control is None:
            raise ClusterError("the cluster is not running", "start() it, or use it as a context manager")
        return self._control
