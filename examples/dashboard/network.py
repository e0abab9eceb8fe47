"""
The line between an instance and whoever owns its cluster: a Unix socket, for an instance lives in its node's network.

One request a connection: a line of JSON with the nodes to cut off, `[]` to heal; a line comes back, empty or with what
is wrong. A node of yours has no such socket, and its page no such buttons.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

LIMIT = 5
"""Seconds for a request."""


class NetworkError(Exception):
    """The network was left as it was, with the reason."""


async def cut_off(socket: Path, nodes: Sequence[int]) -> None:
    """
    Cut these nodes off from all others, and from one another not; heal the network if there are none.

    Raises:
        NetworkError: Nobody is there, or it could not be done.
    """
    try:
        async with asyncio.timeout(LIMIT):
            reader, writer = await asyncio.open_unix_connection(socket)
            with closing(writer):
                writer.write(json.dumps(nodes).encode() + b"\n")
                complaint = (await reader.readline()).decode().strip()
    except (OSError, TimeoutError) as error:
        raise NetworkError(f"nobody answers at {socket}: {error}") from error
    if complaint:
        raise NetworkError(complaint)


@asynccontextmanager
async def cutting(socket: Path, cut: Callable[[list[int]], None]) -> AsyncIterator[None]:
    """Take requests at this path while the block runs; `cut` does what they ask, or raises ValueError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            try:
                cut(json.loads(await reader.readline()))
                writer.write(b"\n")
            except (ValueError, TypeError) as error:
                writer.write(f"{error}\n".encode())
            await writer.drain()

    async with await asyncio.start_unix_server(answer, socket):
        yield
