"""The pages that are open here: each has a queue of its own, and one that does not keep up is closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable

from aiohttp import WSCloseCode, web

from .board import Frame

ROOM = 2000
"""Frames that may wait for a page."""


class Pages:
    """Frames go to all pages that are open; one that opens begins with all there is to know."""

    def __init__(self, begin: Callable[[], Frame]) -> None:
        self._begin = begin
        self._queues: set[asyncio.Queue[str | None]] = set()

    def publish(self, frames: Iterable[Frame]) -> None:
        """Send frames to every page. Never waits."""
        for text in map(json.dumps, frames):
            for queue in [*self._queues]:
                if queue.full():
                    self._queues.discard(queue)
                else:
                    queue.put_nowait(text)

    def close(self) -> None:
        """Close all pages."""
        for queue in self._queues:
            queue.put_nowait(None)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Follow one page until it goes."""
        if request.headers.get("Origin", f"//{request.host}").partition("//")[2] != request.host:
            raise web.HTTPForbidden(text="a page of another site")
        socket = web.WebSocketResponse(heartbeat=20)
        await socket.prepare(request)
        queue: asyncio.Queue[str | None] = asyncio.Queue(ROOM)
        queue.put_nowait(json.dumps(self._begin()))
        self._queues.add(queue)
        sending = asyncio.create_task(self._send(socket, queue))
        try:
            async for _ in socket:
                pass
        finally:
            self._queues.discard(queue)
            sending.cancel()
        return socket

    async def _send(self, socket: web.WebSocketResponse, queue: asyncio.Queue[str | None]) -> None:
        while (text := await queue.get()) is not None:
            await socket.send_str(text)
            if queue not in self._queues and queue.empty():
                break
        await socket.close(code=WSCloseCode.GOING_AWAY)
