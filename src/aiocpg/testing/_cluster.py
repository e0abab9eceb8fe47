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

from ._conf import Settings
from ._control import Control
from ._errors import ClusterError
from ._node import ClusterNode


class CorosyncCluster:
    """
    A cluster of real corosync daemons that ends with the block, or with the process at the latest.

    Nothing of it can be seen outside, and any number may run side by side. Needs root, corosync and iproute2.

    Args:
        nodes: How many, 1 to 64.
        shm_size: Of each node's /dev/shm, as tmpfs has it; a CPG client takes 3 MiB of it.
        sched_rr: Whether the daemons ask for real-time scheduling, as they do in production.
        token: Milliseconds until a lost token, and with it a silent node, is noticed. Under heavy load a short one
            breaks rings that are healthy.
        extra_uidgid: User ids besides root that may use the daemons.
        transport: "udpu" forms quicker and takes less memory, "knet" is what production uses.

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
    ) -> None:
        self._settings = Settings(nodes, shm_size, sched_rr, token, tuple(extra_uidgid), transport)
        self._control: Control | None = None
        self._nodes: tuple[ClusterNode, ...] = ()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def nodes(self) -> tuple[ClusterNode, ...]:
        """All nodes, by number; empty unless the cluster is started."""
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
        if self._control is not None:
            raise ClusterError("the cluster is started already", "close() it first")
        self._control = Control()
        try:
            for nodeid in self._settings.nodeids:
                self._nodes += (ClusterNode(nodeid, self._control, self._settings),)
            self.heal()
            self._start_daemons(time.monotonic() + timeout)
        except BaseException:
            self.close()
            raise

    def _start_daemons(self, deadline: float) -> None:
        try:
            for node in self._nodes:
                node.start()
            self.wait_formed(timeout=deadline - time.monotonic())
            for node in self._nodes:
                node.wait_ready(deadline - time.monotonic())
        except ClusterError as error:
            logs = "\n".join(f"log of node {node.nodeid}:\n{node.log}" for node in self._nodes)
            raise ClusterError(error.reason, f"the logs may tell why\n{logs}") from None

    def close(self) -> None:
        """End all that runs on the nodes, and the nodes. Returns when it is gone; closing twice is fine."""
        control, self._control = self._control, None
        nodes, self._nodes = self._nodes, ()
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
        cut = [sorted(set(side)) for side in sides]
        named = [nodeid for side in cut for nodeid in side]
        strangers = set(named) - {node.nodeid for node in self._nodes}
        if strangers or len(set(named)) != len(named):
            raise ValueError(f"sides must be of this cluster's nodes, each at most once: {cut}")
        rest = [node.nodeid for node in self._nodes if node.nodeid not in named]
        self._started().ask("connect", sides=[side for side in [*cut, rest] if side])

    def heal(self) -> None:
        """Let every node reach every other again. Returns when the network is whole; the rings merge after."""
        self.partition()

    def wait_formed(self, *sides: Iterable[int], timeout: float = 30) -> None:
        """
        Wait until each of these sides is a ring of exactly its nodes; without arguments, until all nodes are one ring.

        Args:
            sides: Sets of node numbers. Nodes not named are not looked at.
            timeout: Seconds, for all together.

        Raises:
            ClusterError: A daemon has ended, or it took longer; the text has its log.
        """
        deadline = time.monotonic() + timeout
        for side in [set(side) for side in sides] or [{node.nodeid for node in self._nodes}]:
            for nodeid in side:
                self.node(nodeid).wait_members(*side, timeout=max(0.0, deadline - time.monotonic()))

    def _started(self) -> Control:
        if self._control is None:
            raise ClusterError("the cluster is not running", "start() it, or use it as a context manager")
        return self._control
