"""One browser at the other end of a WebSocket: sends it the backlog at its own pace, and closes in time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from aiocpg.aiohttp._backlog import Backlog, Frame
from aiocpg.aiohttp._words import Verdict


class Browser:
    """
    Sends one browser what is in the backlog from its place on.

    Args:
        ws: Its WebSocket, prepared.
        transport: What is under it.
        backlog: What all browsers read.
        place: The number of the first frame it gets from there.
        opening: What it gets before that, from nobody's backlog.
        close_timeout: Seconds until a connection that cannot be closed in order is cut.
    """

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.Transport,
        backlog: Backlog,
        place: int,
        opening: Sequence[Frame],
        close_timeout: float,
    ) -> None:
        self._ws = ws
        self._transport = transport
        self._backlog = backlog
        self._opening = opening
        self._close_timeout = close_timeout
        self._arrived = asyncio.Event()
        self._verdict: Verdict | None = None
        self._until: int | None = None
        self._is_cut = False
        self._sending: asyncio.Task[None] | None = None
        self.place = place

    async def serve(self) -> None:
        """
        Send until told to end or until the browser goes, and close. What it sends is dropped.

        Cancelling leaves the closing to whoever prepared the WebSocket.
        """
        self._sending = asyncio.create_task(self._send(), name="to a browser")
        listening = asyncio.create_task(self._listen(), name="from a browser")
        try:
            await asyncio.wait([self._sending, listening], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._sending.cancel()
            listening.cancel()  # closing reads until the browser has closed as well, and there is one reader
            await asyncio.wait([self._sending, listening])
            self._cut_later()
        for task in (self._sending, listening):
            if not task.cancelled():
                task.result()
        if self._verdict is not None:
            await self._close(self._verdict)

    async def _close(self, verdict: Verdict) -> None:
        # Not drained: what a cancelled send has left behind in aiohttp would cancel this, too.
        closing = asyncio.create_task(
            self._ws.close(code=verdict.code, message=verdict.reason.encode(), drain=False), name="closing a browser"
        )
        await asyncio.sleep(0)  # the close frame is out
        # A server that stops reads nothing more, and would wait for the browser's close frame in vain. Closing our half
        # lets the browser close its own. Closing both at once could cost it what it has still to read.
        if self._transport.can_write_eof() and not self._transport.is_closing():
            self._transport.write_eof()
        await closing

    def wake(self) -> None:
        """There is something new in the backlog."""
        self._arrived.set()

    def finish(self, verdict: Verdict) -> None:
        """Send what is in the backlog now, then close; cut the connection if that takes too long."""
        if self._verdict is None:
            self._verdict = verdict
            self._until = self._backlog.next
            self._arrived.set()
            self._cut_later()

    def cut(self, verdict: Verdict) -> bool:
        """Send nothing more and close. Returns whether that is news."""
        if self._is_cut:
            return False
        self._is_cut = True
        self._verdict = verdict
        self._cut_later()
        if self._sending is not None:
            self._sending.cancel()  # it may be stuck
        return True

    def _cut_later(self) -> None:
        # Closing in order needs a browser that reads. One that does not would keep its buffers until TCP gives up,
        # never while the other end is there. Where all is closed by then, this does nothing.
        asyncio.get_running_loop().call_later(self._close_timeout, self._transport.abort)

    async def _listen(self) -> None:
        async for _ in self._ws:
            pass

    async def _send(self) -> None:
        # Of a browser that goes away, _listen() hears.
        with contextlib.suppress(ConnectionError):
            await self._send_until_told()

    async def _send_until_told(self) -> None:
        for frame in self._opening:
            await self._send_frame(frame)
        self._opening = ()
        while self._until is None or self.place < self._until:
            frame_ = self._backlog.at(self.place)
            if frame_ is None:
                self._arrived.clear()
                await self._arrived.wait()
            else:
                await self._send_frame(frame_)
                self.place += 1

    async def _send_frame(self, frame: Frame) -> None:
        await self._ws.send_frame(frame.data, WSMsgType.TEXT if frame.is_text else WSMsgType.BINARY)
