"""The broker: who is there, what is flushed when, who holds up whom, and when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable

from aiocpg._events import Address
from aiocpg._state.history import Record
from aiocpg.engine._sequencer import Sequencer
from aiocpg.engine.local import _wire
from aiocpg.engine.local.broker._client import NODEID, Client
from aiocpg.engine.local.broker._limits import LIMITS, Limits
from aiocpg.engine.local.broker._turns import Turns

log = logging.getLogger("aiocpg")

_SEQ_STEP = 4

_LOOKS = 5
"""At who is behind, until it is cut off. While the broker stands still there is none, or but one."""

FAREWELL_SECONDS = 1.0
"""How long the end of the broker waits until its clients have read why."""


class Broker:
    """
    Brings clients and the order together.

    Attributes:
        sequencer: The order.
        limits: What a client may cost.
        touched: Clients that have got something in this turn of the loop.
        turns: Whose frames are looked at next.
    """

    def __init__(self, idle_seconds: float | None, limits: Limits = LIMITS) -> None:
        # Two brokers of one world, one after the other, are on different rings.
        self.sequencer = Sequencer(int(time.time() * 1000) * _SEQ_STEP)
        self.sequencer.reform([[NODEID]])
        self.limits = limits
        self.touched: set[Client] = _Touched(self._later)
        self.turns = Turns(limits.turn_seconds)
        self._clients: set[Client] = set()
        self._by_process: Counter[int] = Counter()
        self._was_slow: dict[int, float] = {}
        self._groups: dict[bytes, _Group] = {}
        self._idle_seconds = idle_seconds
        self._idle: asyncio.TimerHandle | None = None
        self._is_told = False
        self._ended = asyncio.Event()
        self._empty = asyncio.Event()
        self._last: tuple[Record, bytes] | None = None

    # -- Clients

    def admit(self, client: Client) -> str | None:
        """Count a socket, or say why there is no room for it. Processes of other pid namespaces are all number 0."""
        if len(self._clients) >= self.limits.clients:
            return f"{self.limits.clients} sockets are open"
        if self._by_process[client.process] >= self.limits.share and client.process:
            return f"{self.limits.share} sockets of this process are open"
        self._clients.add(client)
        self._by_process[client.process] += 1
        self._empty.clear()
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        return None

    def forget(self, client: Client) -> None:
        """A socket is gone."""
        self.drop(client)
        if client in self._clients:
            self._clients.remove(client)
            self._by_process[client.process] -= 1
            self._by_process += Counter()  # without those that have none
        self.wait_for_somebody()

    def wait_for_somebody(self) -> None:
        """If nobody is there, end after a while."""
        if self._clients:
            return
        self._empty.set()
        if self._idle is None and self._idle_seconds is not None:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._ended.set)

    # -- Members

    def join(self, client: Client, name: bytes, address: Address) -> None:
        """Make a client a member. Raises AlreadyJoinedError."""
        client.seat = self.sequencer.join(name, address, client.take)
        group = self._groups.setdefault(name, _Group())
        group.clients.add(client)
        client.hold(bool(group.behind))

    def leave(self, client: Client) -> None:
        """A member leaves; it gets its departure, and closes when it has read it."""
        if client.seat is not None:
            seat = client.seat
            self.sequencer.leave(seat)
            self._ungroup(client)
            client.expect_end(self.limits.grace_seconds, "it has left, and did not close in time")

    def drop(self, client: Client) -> None:
        """A member is gone, or is cut off."""
        if client.seat is not None:
            self.sequencer.drop(client.seat)
            self._ungroup(client)

    def _ungroup(self, client: Client) -> None:
        assert client.seat is not None
        name, client.seat = client.seat.group, None
        group = self._groups[name]
        group.clients.discard(client)
        client.hold(False)
        self._caught_up(group, client)
        if not group.clients:
            del self._groups[name]

    # -- Output

    def encoded(self, record: Record) -> bytes:
        """A record as a frame, made once for all who get it."""
        if self._last is None or self._last[0] is not record:
            self._last = (record, _wire.record(record))
        return self._last[1]

    def _later(self) -> None:
        asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._last = None
        while self.touched:
            client = self.touched.pop()
            client.flush()
            if client.seat is not None and client.backlog > self.limits.high:
                self._fell_behind(self._groups[client.seat.group], client)

    def _fell_behind(self, group: _Group, client: Client) -> None:
        if client in group.behind:
            return
        if self._was_slow.get(client.process, 0) > asyncio.get_running_loop().time():
            self._cut(client)
            return
        self._look_again(group, client, _LOOKS)
        if len(group.behind) == 1:
            for other in group.clients:
                other.hold(True)

    def _look_again(self, group: _Group, client: Client, looks: int) -> None:
        if looks:
            seconds = self.limits.grace_seconds / _LOOKS
            loop = asyncio.get_running_loop()
            group.behind[client] = loop.call_later(seconds, self._look_again, group, client, looks - 1)
        else:
            self._cut(client)

    def relieved(self, client: Client) -> None:
        """Some of what waited for a client is gone."""
        if client.seat is not None and client.backlog < self.limits.low:
            self._caught_up(self._groups[client.seat.group], client)

    def _caught_up(self, group: _Group, client: Client) -> None:
        timer = group.behind.pop(client, None)
        if timer is not None:
            timer.cancel()
            if not group.behind:
                for other in group.clients:
                    other.hold(False)

    def _cut(self, client: Client) -> None:
        log.warning("%s reads too slowly, %d bytes wait for it: cut off", client.name, client.backlog)
        if client.process:
            now = asyncio.get_running_loop().time()
            self._was_slow = {process: end for process, end in self._was_slow.items() if end > now}
            self._was_slow[client.process] = now + self.limits.again_seconds
        client.end(f"it read too slowly, and {client.backlog} bytes waited for it")

    # -- Life

    async def serve(self, listening: socket.socket, still_ours: Callable[[], bool]) -> None:
        """Serve until idle, told to end, or not where clients look any more."""
        loop = asyncio.get_running_loop()
        # asyncio takes the length of the queue for the number of sockets to accept at once, and when it has no
        # descriptors for them it says so, and tries again later, that many times over.
        server = await loop.create_unix_server(lambda: Client(self), sock=listening, backlog=1)
        listening.listen(socket.SOMAXCONN)
        self._look(still_ours)
        self.wait_for_somebody()
        await self._until_over()
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await self._empty.wait()

    async def _until_over(self) -> None:
        while not self._is_told and (self._clients or not self._ended.is_set()):
            self._ended.clear()  # somebody came in the very moment
            await self._ended.wait()

    def _look(self, still_ours: Callable[[], bool]) -> None:
        if still_ours():
            asyncio.get_running_loop().call_later(self.limits.look_seconds, self._look, still_ours)
        else:
            log.warning("the files of this broker were removed or replaced: ending")
            self.end("its files were removed or replaced")

    def end(self, why: str) -> None:
        """End, and tell all clients why."""
        self._is_told = True
        for client in list(self._clients):
            client.end(why)
        self._ended.set()


class _Group:
    """The clients of one group, and those of them that hold up the others."""

    def __init__(self) -> None:
        self.clients: set[Client] = set()
        self.behind: dict[Client, asyncio.TimerHandle] = {}


class _Touched(set[Client]):
    """Asks for a flush with its first element."""

    def __init__(self, ask: Callable[[], object]) -> None:
        super().__init__()
        self._ask = ask

    def add(self, client: Client) -> None:
        if not self:
            self._ask()
        super().add(client)


def run(listening: socket.socket, *, idle_seconds: float | None, still_ours: Callable[[], bool]) -> None:
    """
    Be a broker on a listening socket until it ends. Must run in the main thread.

    Args:
        listening: Bound and listening; closed at the end.
        idle_seconds: End when nobody was there for so long; None: never.
        still_ours: Asked now and then; the broker ends when its files are not its own any more.
    """
    asyncio.run(_main(listening, idle_seconds, still_ours))


async def _main(listening: socket.socket, idle_seconds: float | None, still_ours: Callable[[], bool]) -> None:
    broker = Broker(idle_seconds)
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, broker.end, "the broker was ended")
    await broker.serve(listening, still_ours)
