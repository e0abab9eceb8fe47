"""What tests of web applications share: an application that runs, and a browser's end of a WebSocket."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
from aiohttp import ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

PATIENCE = 30
"""Seconds until something that should happen counts as not happening."""

_worlds = itertools.count(1)

Client = TestClient[web.Request, web.Application]


def fresh_world() -> str:
    """Return a URL of the memory engine that no other test uses."""
    return f"memory://web-{next(_worlds)}"


@asynccontextmanager
async def running(app: web.Application) -> AsyncIterator[Client]:
    """Start an application, and stop it the way a server does."""
    with anyio.fail_after(2 * PATIENCE):
        async with TestClient(TestServer(app, shutdown_timeout=5)) as client:
            yield client


async def start(app: web.Application) -> None:
    """Start an application that is not going to start, and clean up as servers do."""
    runner = web.AppRunner(app)
    with anyio.fail_after(PATIENCE):
        try:
            await runner.setup()
        finally:
            await runner.cleanup()


async def read(ws: ClientWebSocketResponse) -> Any:
    """Return the next JSON that a browser gets."""
    with anyio.fail_after(PATIENCE):
        return json.loads(await ws.receive_str())


async def read_until(ws: ClientWebSocketResponse, wanted: Callable[[Any], bool]) -> list[Any]:
    """Return what a browser gets up to what is wanted."""
    got = [await read(ws)]
    while not wanted(got[-1]):
        got.append(await read(ws))
    return got


async def read_to_end(ws: ClientWebSocketResponse) -> tuple[list[Any], int | None]:
    """Return what else a browser gets, and the code it is closed with. The client must not close by itself."""
    got = []
    with anyio.fail_after(PATIENCE):
        while (message := await ws.receive()).type is WSMsgType.TEXT:
            got.append(json.loads(message.data))
        code = message.data if message.type is WSMsgType.CLOSE else ws.close_code
        await ws.close()
    return got, code


def payloads(told: list[Any]) -> list[str]:
    """Return the texts of the messages among these."""
    return [one["payload"] for one in told if one["type"] == "message"]


def is_message(text: str) -> Callable[[Any], bool]:
    """Return whether something told is a message with this text."""
    return lambda told: told.get("payload") == text
