"""What a page may ask by POST: to send lines, and on a stage to cut nodes off."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from aiohttp import web

import aiocpg
from aiocpg.aiohttp import group_key

from .network import NetworkError, cut_off
from .sayings import MAX_TEXT, Line, encoded

MAX_LINES = 1000
ID = r"[\w-]{1,60}"
"""Each line gets its number behind it."""
LIMIT = 10
"""Seconds that lines may take until they are back."""


class Requests:
    """
    The handlers of one instance.

    Args:
        group: Where lines go.
        network: Where somebody listens who can cut nodes off; None where nobody does.
    """

    def __init__(self, group: str, network: Path | None) -> None:
        self._group = group_key(group)
        self._network = network

    async def send(self, request: web.Request) -> web.Response:
        """
        Send lines, ``{"id": ..., "lines": [...]}``; answers when they are back here, which is when they are shown.

        A 503 says that this is not known. The same lines with the same id may be sent again, here or to another
        instance: those that were sent are not shown twice.
        """
        lines = _lines(await _body(request))
        group = request.app[self._group]
        try:
            async with asyncio.timeout(LIMIT):
                await group.mcast_many(lines[:-1])
                receipt = await group.mcast_confirmed(lines[-1])
        except TimeoutError as error:
            raise web.HTTPServiceUnavailable(text=f"not back after {LIMIT} s") from error
        except aiocpg.CPGError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        return web.json_response({"position": receipt.position})

    async def cut(self, request: web.Request) -> web.Response:
        """Cut nodes off from the others, ``{"alone": [3]}``, or heal the network, ``{"alone": []}``."""
        assert self._network is not None
        nodes = _nodes(await _body(request))
        try:
            await cut_off(self._network, nodes)
        except NetworkError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from error
        return web.Response(status=204)


def _lines(body: Any) -> list[bytes]:
    match body:
        case {"id": str(id_), "lines": [*lines]} if re.fullmatch(ID, id_, re.ASCII) and 1 <= len(lines) <= MAX_LINES:
            if all(isinstance(line, str) and 1 <= len(line) <= MAX_TEXT for line in lines):
                return [encoded(Line(line, f"{id_}-{number}")) for number, line in enumerate(lines)]
    raise web.HTTPBadRequest(text=f"wanted an id and 1 to {MAX_LINES} lines of 1 to {MAX_TEXT} characters")


def _nodes(body: Any) -> list[int]:
    match body:
        case {"alone": [*nodes]} if all(type(node) is int for node in nodes):
            return nodes
    raise web.HTTPBadRequest(text="wanted the numbers of the nodes that are to be alone")


async def _body(request: web.Request) -> Any:
    # A page of another site can send a form, but not JSON: its browser asks us before, and we do not answer that.
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="wanted application/json")
    try:
        return await request.json()
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"no JSON: {error}") from error
