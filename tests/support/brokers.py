"""A broker in the test's own loop, and clients that say what they are told to, frame by frame."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from aiocpg.engine.local import _wire
from aiocpg.engine.local._wire import BROKER_LIMITS, Frames, Hello, Kind
from aiocpg.engine.local.broker._broker import Broker
from aiocpg.engine.local.broker._limits import Limits

GROUP = b"group"


class Peer:
    """A client's end of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._frames = Frames(BROKER_LIMITS)
        self.writer = writer

    def send(self, *frames: bytes) -> None:
        """Send bytes."""
        self.writer.write(b"".join(frames))

    async def next(self) -> tuple[int, bytes] | None:
        """The next frame; None at the end."""
        while (found := self._frames.next()) is None:
            try:
                async with asyncio.timeout(30):
                    data = await self._reader.read(1 << 20)
            except ConnectionError:
                return None
            if not data:
                return None
            self._frames.feed(data)
        return found

    async def until(self, kind: Kind) -> bytes:
        """The body of the next frame of a kind; others are passed over."""
        while found := await self.next():
            if found[0] == kind:
                return found[1]
        raise AssertionError(f"it ended before a {kind.name}")

    async def records(self, count: int) -> list[Any]:
        """So many records, RING aside."""
        found: list[Any] = []
        while len(found) < count:
            frame = await self.next()
            assert frame is not None, f"it ended after {found}"
            if frame[0] != Kind.RING:
                found.append(_wire.read_record(*frame, GROUP))
        return found

    async def end(self) -> str:
        """The reason it is told, and then the end; empty without one."""
        why = ""
        while found := await self.next():
            if found[0] == Kind.BYE:
                why = _wire.read_bye(found[1])
        return why

    def close(self) -> None:
        """Go without a word."""
        self.writer.transport.abort()


class Place:
    """A broker that serves, and where."""

    def __init__(self, path: Path, broker: Broker) -> None:
        self.path = path
        self.broker = broker
        self._peers: list[Peer] = []

    async def connect(self) -> Peer:
        """A stranger."""
        peer = Peer(*await asyncio.open_unix_connection(self.path))
        self._peers.append(peer)
        return peer

    async def introduced(self, pid: int, group: bytes = b"") -> Peer:
        """A connection, or a member, that has been let in."""
        peer = await self.connect()
        peer.send(_wire.hello(Hello(pid, group)))
        await peer.until(Kind.WELCOME)
        return peer

    async def member(self, pid: int) -> Peer:
        """A member that has seen itself come."""
        peer = await self.introduced(pid, GROUP)
        await peer.until(Kind.CHANGE)
        return peer

    def close(self) -> None:
        """End all peers."""
        for peer in self._peers:
            peer.close()


@contextlib.asynccontextmanager
async def serving(
    directory: Path, limits: Limits | None = None, idle_seconds: float | None = None
) -> AsyncIterator[Place]:
    """Have a broker serve inside the block; it has to end by itself or is told to."""
    path = directory / "socket"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    broker = Broker(idle_seconds, limits or Limits())
    task = asyncio.create_task(broker.serve(listening, lambda: True))
    while not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):  # noqa: ASYNC110 - nothing announces it
        await asyncio.sleep(0)
    place = Place(path, broker)
    try:
        yield place
    finally:
        broker.end("the test is over")
        place.close()
        await task
