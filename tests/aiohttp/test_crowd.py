"""200 browsers on one instance, 20 of which never read: the others keep up, memory stays, the group notices nothing."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientWebSocketResponse

from aiocpg.testing import ClusterNode
from support.web import read
from support.web_servers import PATIENCE, Server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

READING = 180
DEAF = 20
MESSAGES = 600
PAYLOAD = "x" * 1000
BACKLOG = 256 * 1024
AHEAD = 100
"""Messages that the sender may be ahead of the slowest of those who read; a backlog holds about twice as many."""

GROWTH = 16 * 1024 * 1024
"""Bytes by which the instance may grow. What 20 browsers did not read would be some 16 MB, and is kept for nobody."""

PROGRAM = f"""
import sys
from aiohttp import web
from aiocpg.aiohttp import group_context, readiness, websocket_fanout

app = web.Application()
app.cleanup_ctx.append(group_context("crowd"))
fanout = websocket_fanout(app, "crowd", max_backlog_bytes={BACKLOG}, heartbeat=None, close_timeout=1)

async def counts(request):
    return web.json_response({{"browsers": fanout.browsers, "cut_off": fanout.cut_off}})

app.router.add_get("/events", fanout.handler)
app.router.add_get("/ready", readiness)
app.router.add_get("/counts", counts)
web.run_app(app, path=sys.argv[1])
"""


class Browser:
    """One that reads, and checks that nothing is missing or out of order."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self._ws = ws
        self.count = 0

    async def look_on(self) -> None:
        """Read to the last message."""
        while self.count < MESSAGES:
            told = json.loads(await self._ws.receive_str())
            if told["type"] == "message":
                assert told["payload"] == f"{self.count}:{PAYLOAD}"
                self.count += 1


@asynccontextmanager
async def deaf(socket: Path) -> AsyncIterator[None]:
    """A browser that connects and never reads."""
    _, writer = await asyncio.open_unix_connection(socket, limit=1)
    headers = "Host: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    writer.write(f"GET /events HTTP/1.1\r\n{headers}Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    try:
        yield
    finally:
        writer.transport.abort()


def resident(pid: int) -> int:
    """Bytes that a process has in memory."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


async def test_those_who_do_not_read_are_cut_off_and_nobody_else_notices(node: ClusterNode, tmp_path: Path) -> None:
    """600 messages of 1 kB from another member; the readers get each one, in order."""
    socket = tmp_path / "socket"
    server = Server(node, [sys.executable, "-c", PROGRAM, str(socket)], socket)
    try:
        await server.ready()
        async with AsyncExitStack() as stack, node.connect() as cpg, cpg.join("crowd") as group:
            client = await stack.enter_async_context(server.client())
            browsers = []
            for _ in range(READING):
                ws = await client.ws_connect("/events", compress=0)
                assert (await read(ws))["type"] == "hello"
                browsers.append(Browser(ws))
            for _ in range(DEAF):
                await stack.enter_async_context(deaf(socket))

            async def counts() -> dict[str, int]:
                async with client.get("/counts") as response:
                    return dict(await response.json())

            with anyio.fail_after(PATIENCE):
                while (await counts())["browsers"] < READING + DEAF:  # noqa: ASYNC110 - no event comes from there
                    await anyio.sleep(0.01)
            before, began = resident(server.process.pid), time.monotonic()
            with anyio.fail_after(2 * PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for browser in browsers:
                        tasks.start_soon(browser.look_on)
                    for number in range(MESSAGES):
                        await group.mcast_confirmed(f"{number}:{PAYLOAD}".encode())
                        while number - min(browser.count for browser in browsers) > AHEAD:  # noqa: ASYNC110 - as above
                            await anyio.sleep(0.001)
            growth = resident(server.process.pid) - before
            frames = READING * MESSAGES / (time.monotonic() - began)
            print(f"{frames:.0f} frames/s; the instance grew by {growth / 2**20:.1f} MiB")
            with anyio.fail_after(PATIENCE):
                while (await counts())["browsers"] > READING:  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.01)
            assert await counts() == {"browsers": READING, "cut_off": DEAF}
            assert growth < GROWTH
            assert len(group.members) == 2
        server.terminate()
        assert await server.ended() == 0
        assert "Traceback" not in server.log.read_text()
    finally:
        server.kill()
