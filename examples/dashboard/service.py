"""
One instance: the web application that is a member of the group, and what its pages may ask of it.

A page reads ``/events``, a WebSocket, and sends by POST. Nothing is shown because it was sent; it is shown when it comes
back, in the place that it has for all.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from aiohttp import web

import aiocpg

from .board import Board
from .pages import Pages
from .requests import cut, send
from .sayings import Saying, encoded

GROUP = "dashboard"
PAGE = Path(__file__).parent / "page"
PAUSE = 1
"""Seconds between two questions whether all have read the same."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}

JOINED = web.AppKey("JOINED", aiocpg.Group)


class Instance:
    """The member, what it has read, and the pages that show it."""

    def __init__(self, name: str, url: str | None, group: str, network: Path | None) -> None:
        self._url = url
        self._group_name = group
        self._network = network
        self._board = Board(name, group, url, has_network=network is not None)
        self._pages = Pages(lambda: self._board.begin(time.time()))
        self._replies: asyncio.Queue[Saying] = asyncio.Queue()

    async def run(self, app: web.Application) -> AsyncIterator[None]:
        """Be a member while the application runs."""
        async with aiocpg.connect(self._url, reconnect=True) as cpg, cpg.join(self._group_name) as group:
            app[JOINED] = group
            tasks = [asyncio.create_task(work(group)) for work in (self._read, self._reply, self._ask)]
            yield
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _read(self, group: aiocpg.Group) -> None:
        async for event in group:
            outcome = self._board.feed(event, group.me, time.time())
            self._pages.publish(outcome.frames)
            for saying in outcome.replies:
                self._replies.put_nowait(saying)

    async def _reply(self, group: aiocpg.Group) -> None:
        while True:
            await group.mcast(encoded(await self._replies.get()))

    async def _ask(self, group: aiocpg.Group) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            if question := self._board.question():
                await group.mcast(encoded(question))

    async def events(self, request: web.Request) -> web.WebSocketResponse:
        return await self._pages.serve(request)

    async def send(self, request: web.Request) -> web.Response:
        return await send(request.app[JOINED], request)

    async def cut(self, request: web.Request) -> web.Response:
        return await cut(request, self._network)

    async def close(self, app: web.Application) -> None:
        self._pages.close()


def make_app(name: str, *, url: str | None = None, group: str = GROUP, network: Path | None = None) -> web.Application:
    """Return the application."""
    instance = Instance(name, url, group, network)
    app = web.Application()
    app.cleanup_ctx.append(instance.run)
    app.on_response_prepare.append(_harden)
    app.on_shutdown.append(instance.close)
    app.router.add_get("/", _index)
    app.router.add_static("/page", PAGE)
    app.router.add_get("/events", instance.events)
    app.router.add_post("/messages", instance.send)
    if network is not None:
        app.router.add_post("/network", instance.cut)
    return app


async def _index(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE / "index.html")


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
