"""One browser at a real socket: it gets its frames in order, and is closed in time whether it reads or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from aiohttp import ClientWebSocketResponse, web

from aiocpg.aiohttp._backlog import Backlog, frame
from aiocpg.aiohttp._browser import Browser
from aiocpg.aiohttp._words import GOING_AWAY, SLOW
from support.running import turns, until
from support.web import PATIENCE, running

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

MUCH = b"x" * 4_000_000
"""More than the kernel keeps for a connection on this host."""


class Stage:
    """A server with one browser at a time."""

    def __init__(self, close_timeout: float = PATIENCE, heartbeat: float | None = None) -> None:
        self.backlog = Backlog(10**9)
        self.browser: Browser | None = None
        self.served = 0
        self.socket: asyncio.trsock.TransportSocket | None = None
        self._close_timeout = close_timeout
        self._heartbeat = heartbeat

    async def handler(self, request: web.Request) -> web.WebSocketResponse:
        """Serve it."""
        ws = web.WebSocketResponse(compress=False, timeout=self._close_timeout, heartbeat=self._heartbeat)
        await ws.prepare(request)
        assert request.transport is not None
        self.socket = request.transport.get_extra_info("socket")
        self.browser = Browser(ws, request.transport, self.backlog, 1, [frame("hello")], self._close_timeout)
        try:
            await self.browser.serve()
        finally:
            self.served += 1
        return ws

    def tell(self, told: str | bytes) -> None:
        """Put something into the backlog."""
        self.backlog.append(frame(told))
        if self.browser is not None:
            self.browser.wake()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[ClientWebSocketResponse]:
        """Connect a browser that is greeted."""
        app = web.Application()
        app.router.add_get("/", self.handler)
        async with running(app) as client, client.ws_connect("/", max_msg_size=0, autoclose=False) as ws:
            with anyio.fail_after(PATIENCE):
                assert await ws.receive_str() == "hello"
                yield ws

    @asynccontextmanager
    async def deaf(self) -> AsyncIterator[asyncio.StreamReader]:
        """Connect a browser that reads only when it is told to, until the server is stuck in sending to it."""
        app = web.Application()
        app.router.add_get("/", self.handler)
        async with running(app) as client:
            reader, writer = await asyncio.open_connection(client.server.host, client.server.port, limit=1000)
            headers = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            key = "Sec-WebSocket-Key: " + "A" * 22 + "==\r\n"
            writer.write(f"GET / HTTP/1.1\r\nHost: here\r\n{headers}{key}\r\n".encode())
            await until(lambda: self.browser is not None)
            for _ in range(4):
                self.tell(MUCH)
            await anyio.sleep(0.1)
            yield reader
            writer.close()


async def test_frames_come_in_order_behind_the_greeting() -> None:
    """Those that were there, those that come later; text as text, bytes as bytes."""
    stage = Stage()
    stage.tell("early")
    async with stage.connected() as ws:
        assert await ws.receive_str() == "early"
        stage.tell("late")
        stage.tell(b"\xff")
        assert await ws.receive_str() == "late"
        assert await ws.receive_bytes() == b"\xff"


async def test_finished_browser_gets_what_is_there_and_is_closed_with_the_reason() -> None:
    """What is told afterwards it does not get."""
    stage = Stage()
    async with stage.connected() as ws:
        assert stage.browser is not None
        for number in range(100):
            stage.tell(f"{number}")
        stage.browser.finish(GOING_AWAY)
        stage.tell("too late")
        assert [await ws.receive_str() for _ in range(100)] == [f"{number}" for number in range(100)]
        closing = await ws.receive()
        assert (closing.data, closing.extra) == GOING_AWAY
        await ws.close()
        await until(lambda: stage.served)


async def test_cut_browser_is_closed_with_the_reason() -> None:
    """Without what it had still to get."""
    stage = Stage()
    async with stage.connected() as ws:
        assert stage.browser is not None
        assert stage.browser.cut(SLOW)
        assert not stage.browser.cut(SLOW)
        stage.tell("too late")
        closing = await ws.receive()
        assert (closing.data, closing.extra) == SLOW
        await ws.close()
        await until(lambda: stage.served)


async def test_browser_that_is_cut_while_it_is_sent_to_still_gets_the_reason() -> None:
    """It reads on a while later: the frame that was on its way, then why it ends there."""
    stage = Stage()
    async with stage.deaf() as reader:
        assert stage.browser is not None
        place = stage.browser.place
        assert place < stage.backlog.next - 1  # stuck
        stage.browser.cut(SLOW)
        close = b"\x88" + bytes([2 + len(SLOW.reason)]) + SLOW.code.to_bytes(2, "big") + SLOW.reason.encode()
        got = b""
        with anyio.fail_after(PATIENCE):
            while not got.endswith(close):
                got += await reader.read(2**16)
        assert got.count(MUCH) <= place
    await until(lambda: stage.served)


@pytest.mark.parametrize(
    "end", [lambda browser: browser.cut(SLOW), lambda browser: browser.finish(GOING_AWAY)], ids=["cut", "finished"]
)
async def test_browser_that_never_reads_is_cut_off_in_time(end: Callable[[Browser], object]) -> None:
    """Its connection ends, and with it what was kept for it."""
    stage = Stage(close_timeout=0.2)
    async with stage.deaf():
        assert stage.browser is not None
        end(stage.browser)
        await until(lambda: stage.served)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_browser_that_answers_no_pings_leaves_no_connection_behind() -> None:
    """It is there and does not read: TCP alone would keep what is buffered for ever."""
    stage = Stage(close_timeout=0.2, heartbeat=0.2)
    async with stage.deaf():
        await until(lambda: stage.served)
        assert stage.socket is not None
        await until(lambda: stage.socket is not None and stage.socket.fileno() == -1)


async def test_browser_that_goes_is_noticed_while_nothing_happens() -> None:
    """No send has to fail for that."""
    stage = Stage()
    async with stage.connected() as ws:
        await ws.close()
        await until(lambda: stage.served)


async def test_browser_that_breaks_off_while_it_is_sent_to_is_noticed() -> None:
    """A phone that lost its network."""
    stage = Stage()
    async with stage.deaf():
        pass
    await until(lambda: stage.served)


async def test_what_a_browser_sends_is_dropped() -> None:
    """It is not for this: applications have their POSTs."""
    stage = Stage()
    async with stage.connected() as ws:
        await ws.send_str("ignored")
        stage.tell("told")
        assert await ws.receive_str() == "told"
        await turns()
        assert not stage.served
