"""One connection to a world: a process of its own on one of its nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import SplitResult

import anyio
import anyio.lowlevel

from aiocpg._events import Address, DaemonIdentity, RingChange
from aiocpg._loop import LoopPort
from aiocpg._state.quorum import QuorumState
from aiocpg.engine._base import QuorumListener, RingListener
from aiocpg.engine._sequencer import MAX_MESSAGE_SIZE
from aiocpg.engine._url import Place, place_in
from aiocpg.engine.memory._loops import LOCK
from aiocpg.engine.memory._membership import MemoryMembership
from aiocpg.engine.memory._world import World
from aiocpg.engine.memory._worlds import find_world
from aiocpg.errors import AlreadyJoinedError, ConnectionClosedError, ConnectionLostError, CPGError, UsageError

T = TypeVar("T")


class MemoryEngine:
    """See :class:`aiocpg.engine._base.Engine`. Made under the lock, in its loop."""

    daemon: DaemonIdentity | None = None

    def __init__(self, world: World, place: Place, port: LoopPort) -> None:
        self.max_message_size = MAX_MESSAGE_SIZE
        self.world = world
        self.node = world.node(place.node)
        self.nodeid = place.node
        self.address = Address(place.node, place.pid or world.next_pid())
        self.loop = world.loop(port)
        self._memberships: dict[bytes, MemoryMembership] = {}
        self._waiters: set[anyio.Event] = set()
        self._listener: RingListener | None = None
        self._quorum_listener: QuorumListener | None = None
        self._ring = world.order.ring(self.nodeid)
        self._untold: list[RingChange] = []
        self._over: CPGError | None = None
        self._is_told = False
        world.enter(self)

    # -- What it tells

    def listen(self, listener: RingListener) -> None:
        with LOCK:
            self._listener = listener
            self._untold.clear()
            ring = self._ring
            self._wake()
        listener.on_ring(ring)

    def told(self, ring: RingChange) -> None:
        """See :class:`aiocpg.engine.memory._world.Process`."""
        if ring != self._ring:
            self._ring = ring
            self._untold.append(ring)
            self._wake()

    def _wake(self) -> None:
        self.loop.call(self._on_wake, self._crashed)

    def _on_wake(self) -> None:
        with LOCK:
            error = self._over
            if self._listener is None or self._is_told or (self.node.is_stopped and error is None):
                return
            self._is_told = error is not None
            rings, self._untold = self._untold, []
            quorum = None if error else self.world.quorum(self.nodeid)
        for ring in rings:
            self._listener.on_ring(ring)
        if self._quorum_listener is not None and quorum is not None:
            self._quorum_listener.on_quorum(quorum)
        if error is not None:
            self._listener.on_lost(error)

    def ask_ring(self) -> None:
        """It was reported when we listened."""

    async def watch_quorum(self, listener: QuorumListener) -> None:
        listener.on_quorum(await self.when_served(lambda: self._watch_quorum(listener), self._raise_over))

    def _watch_quorum(self, listener: QuorumListener) -> QuorumState:
        self._quorum_listener = listener
        return self.world.quorum(self.nodeid)

    # -- What it answers

    async def join(self, name: bytes) -> MemoryMembership:
        return await self.when_served(lambda: self._join(name), self._raise_over)

    def _join(self, name: bytes) -> MemoryMembership:
        if name in self._memberships:
            raise AlreadyJoinedError(name)
        membership = self._memberships[name] = MemoryMembership(name, self)
        return membership

    async def members(self, name: bytes) -> tuple[Address, ...]:
        return await self.when_served(lambda: self.world.order.members(self.nodeid, name), self._raise_over)

    async def groups(self) -> Mapping[bytes, tuple[Address, ...]]:
        return await self.when_served(lambda: self.world.order.groups(self.nodeid), self._raise_over)

    async def ping(self) -> None:
        await self.when_served(lambda: None, self._raise_over)

    async def when_served(self, step: Callable[[], T], raise_over: Callable[[], None], *, sends: bool = False) -> T:
        """
        Do something as soon as the node serves, or, where it ``sends``, takes messages. Cancelled, nothing was done.

        Raises:
            CPGError: What ``raise_over`` raises, also while this waits.
        """
        await anyio.lowlevel.checkpoint()
        while True:
            with LOCK:
                raise_over()
                if self.node.takes_messages or not (sends or self.node.is_stopped):
                    return step()
                turn = anyio.Event()
                self._waiters.add(turn)
            try:
                await turn.wait()
            finally:
                with LOCK:
                    self._waiters.discard(turn)

    def go_on(self) -> None:
        """See :class:`aiocpg.engine.memory._world.Process`."""
        self._wake()
        self._turn()
        for membership in list(self._memberships.values()):
            membership.go_on()

    def _turn(self) -> None:
        for turn in list(self._waiters):
            self.loop.call(turn.set, self._crashed)

    # -- The end

    def _raise_over(self) -> None:
        if self._over is not None:
            raise self._over.fresh()

    def _crashed(self, error: BaseException) -> None:
        lost = ConnectionLostError(f"a fault in aiocpg itself, please report it: {error!r}")
        lost.__cause__ = error
        with LOCK:
            self.lose(lost)

    def lose(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine.memory._world.Process`. The connection is told first, so that it knows best."""
        if self._over is None:
            self._over = error
            self._wake()
            self._end(lambda membership: membership.lose(error))

    def _end(self, end: Callable[[MemoryMembership], None]) -> None:
        for membership in list(self._memberships.values()):
            end(membership)
        self._turn()
        self.world.exit(self)

    def forget(self, membership: MemoryMembership) -> None:
        """A membership has ended; who waits on it is told."""
        if self._memberships.get(membership.name) is membership:
            del self._memberships[membership.name]
        self._turn()

    async def aclose(self) -> None:
        self.abandon()

    def abandon(self) -> None:
        with LOCK:
            self._is_told = True
            if self._over is None:
                self._over = ConnectionClosedError()
                self._end(MemoryMembership.abandon)


async def open_url(
    parts: SplitResult, port: LoopPort, *, daemon_uid: int | None, enter: Callable[[], object] | None
) -> MemoryEngine:
    """
    Become a process of a world. Cancelling leaves nothing behind.

    Raises:
        EngineUnavailableError: The node does not run, or the world is over.
        UsageError: The URL is wrong, or a daemon was to be looked at.
    """
    place = place_in(parts, {"node", "pid"})
    if daemon_uid is not None:
        raise UsageError(f"daemon_uid is for daemons: there is none behind {parts.geturl()!r}")
    with LOCK:
        engine = MemoryEngine(find_world(place.name), place, port)
    try:
        await engine.ping()  # a node that stands still lets nobody in
    except BaseException:
        engine.abandon()
        raise
    return engine
