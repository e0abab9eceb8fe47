"""What a page may ask by POST: to send lines, and on a stage to cut nodes off."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

import aiocpg

from .network import NetworkError, cut_off
from .sayings import MAX_TEXT, Line, encoded

MAX_LINES = 1000
LIMIT = 10
"""Seconds that lines may take until they are back."""


async def send(group: aiocpg.Group, request: web.Request) -> web.Response:
    """
    Send lines, `{"id": ..., "lines": [...]}`; answers when they are back here, which is when they are shown.

    A 503 says that this is not known. The same lines with the same id may be sent again, here or to another instance:
    those that were sent are not shown twice.
    """
    lines = _lines(await _body(request))
    try:
        async with asyncio.timeout(LIMIT):
            await group.mcast_many(lines[:-1])
            receipt = await group.mcast_confirmed(lines[-1])
    except (aiocpg.EngineError, aiocpg.UsageError, TimeoutError) as error:
        raise web.HTTPServiceUnavailable(text=f"{error or 'the group did not answer in time'}") from error
    return web.json_response({"position": receipt.position})


def _lines(body: dict[str, Any]) -> list[bytes]:
    match body:
        case {"id": str(id_), "lines": [*lines]} if 1 <= len(lines) <= MAX_LINES and len(id_) <= 64:
            if all(isinstance(line, str) and len(line) <= MAX_TEXT for line in lines):
                return [encoded(Line(line, id_ and f"{id_}-{number}")) for number, line in enumerate(lines)]
    raise web.HTTPBadRequest(text=f'wanted {{"id": ..., "lines": 1 to {MAX_LINES} texts of up to {MAX_TEXT} characters}}')


async def cut(request: web.Request, network: Any) -> web.Response:
    """Cut nodes off, `{"alone": [3]}`, or heal the network, `{"alone": []}`."""
    match await _body(request):
        case {"alone": [*nodes]} if all(type(node) is int for node in nodes):
            try:
                await cut_off(network, nodes)
            except NetworkError as error:
                raise web.HTTPServiceUnavailable(text=str(error)) from error
            return web.Response(status=204)
    raise web.HTTPBadRequest(text='wanted {"alone": [numbers of nodes]}')


async def _body(request: web.Request) -> Any:
    # A page of another site can send a form, but not JSON: a browser would ask us first, and we do not answer.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="wanted application/json")
    try:
        return await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"no JSON: {error}") from error
