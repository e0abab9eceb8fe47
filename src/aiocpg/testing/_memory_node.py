"""One node of a cluster inside this process: what can be seen of it, the way in, and the faults done to it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from aiocpg import Connection, Opening, Reconnect, connect
from aiocpg.engine.memory import LOCK, World

from ._errors import ClusterError
from ._waiting import Steps, until, wait


class MemoryNode:
    """
    One node. A :class:`MemoryCluster` makes it; its methods may be called from any thread.

    Attributes:
        nodeid: Its number, from 1.
    """

    def __init__(self, world: World, nodeid: int) -> None:
        self.nodeid = nodeid
        self._world = world
        self._node = world.nodes[nodeid]

    def __repr__(self) -> str:
        return f"<MemoryNode {self.nodeid} of {self._world.url}>"

    @property
    def url(self) -> str:
        """What :func:`aiocpg.connect` takes to come here."""
        return f"{self._world.url}?node={self.nodeid}"

    @property
    def members(self) -> tuple[int, ...]:
        """The nodes on this node's ring, sorted; empty where it does not run."""
        with LOCK:
            return self._world.order.ring(self.nodeid).nodes if self._node.runs else ()

    def connect(
        self,
        *,
        connect_timeout: float | None = 10,
        close_timeout: float = 5,
        reconnect: bool | Reconnect | None = None,
        stall_after: float | None = None,
    ) -> Opening[Connection]:
        """Connect to this node, as a process of its own; otherwise as :func:`aiocpg.connect`."""
        return connect(
            self.url,
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            reconnect=reconnect,
            stall_after=stall_after,
        )

    # -- Waiting

    def wait_ready(self, timeout: float = 30) -> None:
        """Wait until it runs. Raises ClusterError when it took longer than so many seconds."""
        wait(self._running(time.monotonic() + timeout, runs=True))

    async def until_ready(self, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the reason
        """As :meth:`wait_ready`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._running(time.monotonic() + timeout, runs=True))

    def wait_gone(self, timeout: float = 30) -> None:
        """Wait until it does not run. Raises ClusterError when it took longer than so many seconds."""
        wait(self._running(time.monotonic() + timeout, runs=False))

    async def until_gone(self, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the reason
        """As :meth:`wait_gone`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._running(time.monotonic() + timeout, runs=False))

    def wait_members(self, *nodeids: int, timeout: float = 30) -> None:
        """
        Wait until its ring is of exactly these nodes.

        Args:
            nodeids: The nodes, this one among them.
            timeout: Seconds that others have to bring it about.

        Raises:
            ClusterError: It does not run, or it took longer.
        """
        wait(self._getting_members(nodeids, time.monotonic() + timeout))

    async def until_members(self, *nodeids: int, timeout: float = 30) -> None:  # noqa: ASYNC109 - with the reason
        """As :meth:`wait_members`, for coroutines; cancelling ends the wait at once and changes nothing."""
        await until(self._getting_members(nodeids, time.monotonic() + timeout))

    def _running(self, deadline: float, *, runs: bool) -> Steps[None]:
        while self._node.runs is not runs:
            if time.monotonic() > deadline:
                raise ClusterError(f"node {self.nodeid} {'does not run' if runs else 'runs on'}", "nobody did it")
            yield

    def _getting_members(self, nodeids: Iterable[int], deadline: float) -> Steps[None]:
        wanted = tuple(sorted(nodeids))
        if self.nodeid not in wanted:
            raise ValueError(f"node {self.nodeid} is on no ring without itself: {wanted}")
        while self.members != wanted:
            self._check_runs()
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"node {self.nodeid} was not on a ring of {wanted} in time",
                    f"its ring is of {self.members}: partition(), heal() and start() change it, and nothing else",
                )
            yield

    # -- Faults

    def start(self) -> None:
        """
        Start it again after it has ended, with all that it can reach; connections with ``reconnect`` come back.

        Raises:
            ClusterError: It still runs.
        """
        with LOCK:
            if self._node.runs:
                raise ClusterError(f"{self} still runs", "kill() or terminate() it")
            self._world.start(self.nodeid)

    def kill(self) -> None:
        """A crash: its connections are lost, the others see its members go with NODEDOWN."""
        with LOCK:
            self._check_runs()
            self._world.kill(self._node)

    def terminate(self) -> None:
        """
        An end in order: its connections are lost, the others see its members go with PROCDOWN, then the node.

        One that is stopped ends when it goes on.
        """
        with LOCK:
            self._check_runs()
            self._world.terminate(self._node)

    def stop(self) -> None:
        """
        Let it stand still: it answers nothing, delivers nothing, takes no messages, and tells nobody who has gone.

        **Unlike a real node** it is not lost to the others, however long it lasts: they see no NODEDOWN, and it gets
        what it has missed when it goes on. :meth:`MemoryCluster.partition` shows them one. A member for which more than
        64 MiB have come meanwhile is cut off.
        """
        with LOCK:
            self._check_runs()
            self._world.stop(self._node)

    def cont(self) -> None:
        """Let it go on after :meth:`stop`; to one that does not stand still it does nothing."""
        with LOCK:
            self._check_runs()
            self._world.go_on(self._node)

    def congest(self) -> None:
        """Let it take no more messages: ``mcast`` waits. All else goes on."""
        with LOCK:
            self._check_runs()
            self._world.congest(self._node, congested=True)

    def relieve(self) -> None:
        """Let it take messages again after :meth:`congest`."""
        with LOCK:
            self._check_runs()
            self._world.congest(self._node, congested=False)

    def _delay(self, most: int | None) -> None:
        with LOCK:
            self._world.portion(self._node, most)

    def _restore(self) -> None:
        with LOCK:
            if self._node.runs:
                self._world.congest(self._node, congested=False)
                self._world.go_on(self._node)
            if not self._node.runs:  # also where it was to end when it goes on
                self._world.start(self.nodeid)

    def _check_runs(self) -> None:
        if not self._node.runs:
            raise ClusterError(f"{self} does not run", "start() it first")
