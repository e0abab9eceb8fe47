"""A port of each node, reached from this host: a node has a network of its own, which no browser here gets into."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocpg.testing import ClusterNode

_HERE = "127.0.0.1"
_CHUNK = 64 * 1024
"""Bytes that are carried at once, each way."""


def listening(nodeids: Iterable[int], port: int) -> dict[int, socket.socket]:
    """
    Return a socket for each node that listens on this host alone, at port + N.

    Raises:
        OSError: One of them is taken; ``filename`` says which.
    """
    with ExitStack() as undone:
        listeners = {}
        for nodeid in nodeids:
            try:
                listeners[nodeid] = undone.enter_context(socket.create_server((_HERE, port + nodeid)))
            except OSError as error:
                raise OSError(error.errno, os.strerror(error.errno or 0), f"{_HERE}:{port + nodeid}") from None
        undone.pop_all()
        return listeners


def address(listener: socket.socket) -> str:
    """Where it listens, as one types it."""
    host, port = listener.getsockname()
    return f"{host}:{port}"


def carry(node: ClusterNode, port: int, listener: socket.socket) -> None:
    """Carry what comes to a listener of this host to a port of the node, and back, until the program ends."""

    def inside() -> None:
        # The listener stays in the network in which it was made; what is opened from now on is in the node's.
        node.enter()
        asyncio.run(_serve(listener, port))

    threading.Thread(target=inside, daemon=True).start()


async def _serve(listener: socket.socket, port: int) -> None:
    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(_HERE, port)
        except OSError:
            # Nobody listens on the node, or not yet. All that can be told a client is the end.
            writer.transport.abort()
            return
        await asyncio.gather(_pour(reader, back), _pour(there, writer))
        for end in (back, writer):
            end.close()

    server = await asyncio.start_server(take, sock=listener)
    await server.serve_forever()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A connection that breaks ends for the other side like one that is closed.
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    with suppress(OSError):
        writer.write_eof()
