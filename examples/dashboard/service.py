"""
One instance: the web application that is a member of the group, and what its pages may ask of it.

A page reads ``/events``, a WebSocket, and sends by POST. Nothing is shown because it was sent; it is shown when it
comes back, in the place that it has for all.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from aiocpg.aiohttp import group_context, liveness, websocket_fanout

from .board import Board
from .instance import Instance, encode
from .requests import Requests

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

GROUP = "dashboard"
PAGE = Path(__file__).parent / "page"

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def make_app(name: str, *, url: str | None = None, group: str = GROUP, network: Path | None = None) -> web.Application:
    """
    Return the application of one instance.

    Args:
        name: What it is called on the pages.
        url: What to connect to; ``$AIOCPG_URL`` or ``corosync://`` unless given.
        group: The group of the instances.
        network: Where somebody listens who can cut nodes off; see network.py.
    """
    url = url or os.environ.get("AIOCPG_URL") or "corosync://"
    instance = Instance(Board(name, group, url, has_network=network is not None), group)
    requests = Requests(group, network)

    app = web.Application()
    app.cleanup_ctx.append(group_context(group, url=url, reconnect=True))
    app.cleanup_ctx.append(instance.talking)  # the later in this list, the earlier it ends
    fanout = websocket_fanout(app, group, source=instance.frames, encode=encode, snapshot=instance.begin)
    app.on_response_prepare.append(_harden)

    app.router.add_get("/", _index)
    app.router.add_static("/page", PAGE)
    app.router.add_get("/events", _for_own_pages(fanout.handler))
    app.router.add_post("/messages", requests.send)
    if network is not None:
        app.router.add_post("/network", requests.cut)
    app.router.add_get("/ready", instance.ready)
    app.router.add_get("/live", liveness)
    return app


def _for_own_pages(handler: Handler) -> Handler:
    """A page of another site may open a WebSocket here; the browser says whose page it is, other programs do not."""

    async def refusing(request: web.Request) -> web.StreamResponse:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text=f"{origin} is another site")
        return await handler(request)

    return refusing


async def _index(request: web.Request) -> web.FileResponse:
    return web.FileResponse(PAGE / "index.html")


async def _harden(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
