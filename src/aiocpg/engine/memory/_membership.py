"""One join of one group in a world."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from aiocpg._events import Address
from aiocpg._state.history import Record
from aiocpg.engine._base import Listener
from aiocpg.engine._sequencer import MAX_NATIVE_SIZE, Seat
from aiocpg.engine.memory._backlog import MOST_UNDRAINED, Backlog
from aiocpg.engine.memory._loops import LOCK, Loop
from aiocpg.engine.memory._world import Node, World
from aiocpg.errors import ConnectionLostError, CPGError, GroupClosedError, MessageTooBigError

T = TypeVar("T")


class Owner(Protocol):
    """The process that has joined."""

    address: Address
    world: World
    node: Node
    loop: Loop

    async def when_served(self, step: Callable[[], T], raise_over: Callable[[], None], *, sends: bool = False) -> T:
        """Do something as soon as the node serves."""

    def forget(self, membership: MemoryMembership) -> None:
        """It has ended."""


class MemoryMembership:
    """See :class:`aiocpg.engine._base.Membership`."""

    def __init__(self, name: bytes, owner: Owner) -> None:
        self.name = name
        self.me = owner.address
        self.is_sending_native = False
        self._owner = owner
        self._world = owner.world
        self._node = owner.node
        self._loop = owner.loop
        self._backlog = Backlog(f"{owner.world.seed} {self.me} {name!r}")
        self._backlog.portion(owner.node.portion)
        self._listener: Listener | None = None
        self._is_due = False
        self._is_writable = False
        self._is_told = False
        self._has_left = False
        self._over: CPGError | None = None
        self._seat: Seat = self._world.join(name, self.me, self._take)

    # -- What comes

    def listen(self, listener: Listener) -> None:
        with LOCK:
            self._listener = listener
            self._wake()
            if self._over is not None:
                self._loop.call(self._tell_lost, self._crashed)

    def _take(self, record: Record) -> None:
        """Keep a record, in the middle of the order. A member that has too much is cut off behind it."""
        if self._over is not None:
            return
        self._backlog.put(record)
        if self._backlog.is_full:
            self._world.later(self._cut_off)
        if self._is_due:
            self._loop.come()
        else:
            self._wake()

    def _wake(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call(self._on_wake, self._crashed)

    def _on_wake(self) -> None:
        with LOCK:
            self._is_due = False
            if self._listener is None or self._over is not None or self._node.is_stopped:
                return
            self._backlog.step()
            is_readable = self._backlog.has_ripe
            is_writable, self._is_writable = self._is_writable, False
        if is_readable:
            self._listener.on_readable()
        if is_writable:
            self._listener.on_writable()
        with LOCK:
            if self._backlog:
                self._wake()

    def go_on(self) -> None:
        """The node serves again, or takes messages again, or hands out in other portions."""
        self._backlog.portion(self._node.portion)
        self._is_writable = self._node.takes_messages
        self._wake()

    def drain(self) -> Sequence[Record]:
        with LOCK:
            return () if self._node.is_stopped else self._backlog.take()

    # -- What goes

    def mcast(self, data: bytes) -> bool:
        return self.mcast_many((data,)) == 1

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        with LOCK:
            self._raise_ended()
            if not self._node.takes_messages:
                return 0
            self._world.mcast(self._seat, messages)
            return len(messages)

    async def mcast_native(self, data: bytes) -> None:
        if len(data) > MAX_NATIVE_SIZE:
            raise MessageTooBigError(len(data), MAX_NATIVE_SIZE)
        self.is_sending_native = True
        try:
            await self._owner.when_served(lambda: self._world.mcast(self._seat, (data,)), self._raise_ended, sends=True)
        finally:
            self.is_sending_native = False

    async def leave(self) -> None:
        await self._owner.when_served(self._leave, self._raise_ended)

    def _leave(self) -> None:
        self._has_left = True
        self._world.leave(self._seat)

    def _raise_ended(self) -> None:
        if self._over is not None:
            raise self._over.fresh()
        if self._has_left:
            raise GroupClosedError(self.name)

    # -- The end

    def _cut_off(self) -> None:
        self.lose(
            ConnectionLostError(
                f"{self.me} has let more than {MOST_UNDRAINED >> 20} MiB pile up: its event loop is blocked, or its "
                "node stands still"
            )
        )

    def _crashed(self, error: BaseException) -> None:
        lost = ConnectionLostError(f"a fault in aiocpg itself, please report it: {error!r}")
        lost.__cause__ = error
        with LOCK:
            self.lose(lost)

    def lose(self, error: CPGError) -> None:
        """It is gone: the others are told, and so is the listener in its loop."""
        if self._end(error):
            self._loop.call(self._tell_lost, self._crashed)

    def _tell_lost(self) -> None:
        if self._listener is not None and self._over is not None and not self._is_told:
            self._is_told = True
            self._listener.on_lost(self._over)

    def _end(self, error: CPGError) -> bool:
        if self._over is not None:
            return False
        self._over = error
        self._backlog.clear()
        self._world.drop(self._seat)
        self._owner.forget(self)
        return True

    async def aclose(self, *, hard: bool = False) -> None:
        self.abandon()

    def abandon(self) -> None:
        with LOCK:
            self._is_told = True
            self._end(GroupClosedError(self.name))
