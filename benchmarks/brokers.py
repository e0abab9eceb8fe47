"""
Brokers that many would take instead: Redis and NATS, each a server of its own for the run.

They have no membership, and no delivery that is the same for all; what is measured is a message that goes through
another process and comes back. What is not installed is left out, and :func:`missing` says how to get it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

SUBJECT = "bench"


class Channel(Protocol):
    """What all of them can do."""

    async def send(self, messages: list[bytes]) -> None:
        """Send these."""

    async def read(self) -> int:
        """Wait for what comes; how many messages."""


class RedisChannel:
    """A publisher and a subscriber."""

    def __init__(self, client: Any, subscriber: Any) -> None:
        self._client = client
        self._subscriber = subscriber

    async def send(self, messages: list[bytes]) -> None:
        """In one pipeline."""
        async with self._client.pipeline(transaction=False) as pipeline:
            for message in messages:
                pipeline.publish(SUBJECT, message)
            await pipeline.execute()

    async def read(self) -> int:
        """One; redis-py has no batches."""
        while True:
            message = await self._subscriber.get_message(ignore_subscribe_messages=True, timeout=10)
            if message is not None:
                return 1


class NatsChannel:
    """A connection that publishes, and hears what it publishes."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._came = 0
        self._arrived = asyncio.Event()

    async def got(self, _message: Any) -> None:
        """Count one; nats-py calls it for each."""
        self._came += 1
        self._arrived.set()

    async def send(self, messages: list[bytes]) -> None:
        """Many at once end with a round trip, as a pipeline of Redis does: without it nothing would hold us back."""
        for message in messages:
            await self._client.publish(SUBJECT, message)
        if len(messages) > 1:
            await self._client.flush()

    async def read(self) -> int:
        """What has come."""
        await self._arrived.wait()
        self._arrived.clear()
        came, self._came = self._came, 0
        return came


@asynccontextmanager
async def _server(*argv: str) -> AsyncIterator[asyncio.subprocess.Process]:
    server = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield server
    finally:
        if server.returncode is None:
            server.terminate()
        await server.wait()


async def _until_there(directory: Path, pattern: str) -> Path:
    """Wait for a file that a server makes: nothing announces it, and it takes a moment."""
    async with asyncio.timeout(10):
        while not (found := _made(directory, pattern)):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
    return found[0]


def _made(directory: Path, pattern: str) -> list[Path]:
    """Return the sockets, and the files that something was written to."""
    return [path for path in directory.glob(pattern) if path.is_socket() or path.stat().st_size]


@asynccontextmanager
async def redis() -> AsyncIterator[Channel]:
    """Redis, on a Unix socket."""
    import redis.asyncio as client  # noqa: PLC0415 - only for who measures it

    with tempfile.TemporaryDirectory() as directory:
        path = f"{directory}/redis.socket"
        async with _server("redis-server", "--port", "0", "--unixsocket", path, "--save", ""):
            await _until_there(Path(directory), "redis.socket")
            async with client.Redis(unix_socket_path=path) as one, one.pubsub() as subscriber:
                await subscriber.subscribe(SUBJECT)
                yield RedisChannel(one, subscriber)


@asynccontextmanager
async def nats() -> AsyncIterator[Channel]:
    """NATS, on a port that was free; it has no Unix sockets."""
    import nats as client  # noqa: PLC0415 - only for who measures it

    with tempfile.TemporaryDirectory() as directory:
        async with _server("nats-server", "--addr", "127.0.0.1", "--port", "-1", "--ports_file_dir", directory):
            ports = json.loads((await _until_there(Path(directory), "*.ports")).read_text())
            async with await client.connect(ports["nats"][0]) as one:
                channel = NatsChannel(one)
                await one.subscribe(SUBJECT, cb=channel.got)
                await one.flush()
                yield channel


class Broker(NamedTuple):
    """What it takes to measure one."""

    program: str
    """Its server, and the package of the system that has it."""
    module: str
    """Its client."""
    package: str
    """The client's package for pip."""

    def is_there(self) -> bool:
        """Whether both are installed."""
        return shutil.which(self.program) is not None and importlib.util.find_spec(self.module) is not None


BROKERS = {"redis": Broker("redis-server", "redis", "redis"), "nats": Broker("nats-server", "nats", "nats-py")}


def missing() -> list[str]:
    """Return a line for each broker that is left out."""
    return [
        f"without {name}: apt-get install {broker.program}, pip install {broker.package}; scripts/bench does both"
        for name, broker in BROKERS.items()
        if not broker.is_there()
    ]
