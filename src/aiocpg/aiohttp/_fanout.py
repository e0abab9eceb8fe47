"""The ordered stream of a group to any number of browsers: read and encoded once, sent to each at its own pace."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, TypeVar, overload

from aiohttp import web

import aiocpg
from aiocpg.aiohttp._backlog import Backlog, Frame, frame
from aiocpg.aiohttp._browser import Browser, Verdict
from aiocpg.aiohttp._context import group_key
from aiocpg.aiohttp._encoding import dumps, encode_json, view_fields

MAX_BACKLOG_BYTES = 4 * 1024 * 1024
"""Bytes of what was told that are kept for browsers that are behind or come back."""

HEARTBEAT_SECONDS = 20.0
"""Seconds between pings to a browser; one that does not answer within half of it is gone."""

CLOSE_SECONDS = 5.0
"""Seconds that closing a browser's connection in order may take."""

MAX_INPUT_BYTES = 4096
"""Bytes of one message from a browser; they are not read."""

_BYTES_PER_TURN = 64 * 1024
"""Encoded bytes after which those who send get their turn."""

_GOING_AWAY = Verdict(1001, "this instance is stopping; connect again")
_LEFT = Verdict(1001, "this instance has left the group; connect again")
_LOST = Verdict(1011, "the stream has ended; see the message before")
_SLOW = Verdict(1013, "too slow; connect again")

log = logging.getLogger("aiocpg")

T = TypeVar("T")


def _events(group: aiocpg.Group) -> AsyncIterator[aiocpg.Event]:
    return group.events()


@overload
def websocket_fanout(
    app: web.Application,
    name: bytes | str,
    *,
    encode: Callable[[aiocpg.Event, str], str | bytes | None] = ...,
    snapshot: Callable[[], str | bytes | None] | None = None,
    max_backlog_bytes: int = ...,
    heartbeat: float | None = ...,
    close_timeout: float = ...,
) -> Fanout[aiocpg.Event]: ...


@overload
def websocket_fanout(
    app: web.Application,
    name: bytes | str,
    *,
    source: Callable[[aiocpg.Group], AsyncIterator[T]],
    encode: Callable[[T, str], str | bytes | None],
    snapshot: Callable[[], str | bytes | None] | None = None,
    max_backlog_bytes: int = ...,
    heartbeat: float | None = ...,
    close_timeout: float = ...,
) -> Fanout[T]: ...


def websocket_fanout(
    app: web.Application,
    name: bytes | str,
    *,
    source: Callable[[aiocpg.Group], AsyncIterator[Any]] = _events,
    encode: Callable[[Any, str], str | bytes | None] = encode_json,
    snapshot: Callable[[], str | bytes | None] | None = None,
    max_backlog_bytes: int = MAX_BACKLOG_BYTES,
    heartbeat: float | None = HEARTBEAT_SECONDS,
    close_timeout: float = CLOSE_SECONDS,
) -> Fanout[Any]:
    """
    Show a group of :func:`group_context` to browsers, over WebSockets, each at its own pace.

    Route requests to :attr:`Fanout.handler`. The stream is read and encoded once. A browser that falls further behind
    than ``max_backlog_bytes`` is closed with 1013; neither the group nor another browser waits for it. When the
    application shuts down, browsers get what was told so far and are closed with 1001, before the group is left.

    A browser first gets ``hello``, which says where in the stream it is. With ``?after=ID`` in its URL, the id of the
    last message it had, it goes on behind that one if the instance is the same and all since is still kept; otherwise
    it gets ``gap``. The words that browsers get are listed in the reference.

    Args:
        app: The application, not yet started.
        name: One of its groups.
        source: What to show of the group, an asynchronous generator for instance, which may keep state as it goes. It
            is called at start-up, and again after a :class:`aiocpg.SlowConsumerError`, which browsers are told as
            ``gap``. Any other error is the end: browsers are told, and closed with 1011. ``group.events()`` unless
            given.
        encode: Makes of each item what browsers get: text, bytes, or None for nothing. Its second argument is the id to
            put into it. Called once for each item, in order, in the event loop. :func:`encode_json` unless given.
        snapshot: What a browser gets behind ``hello`` when it does not go on from an earlier place: the state that the
            items behind it change. It is called between two items, so nothing is missing or doubled.
        max_backlog_bytes: What is kept for browsers that are behind or come back, for all of them together: bytes
            encoded + 256 for each item.
        heartbeat: Seconds between pings; None for none.
        close_timeout: Seconds that closing a browser may take before its connection is cut; at shutdown, sending what
            it has not got yet is in it.

    Example::

        fanout = websocket_fanout(app, "orders")
        app.router.add_get("/events", fanout.handler)
    """
    fanout = Fanout(name, source, encode, snapshot, Backlog(max_backlog_bytes), heartbeat, close_timeout)
    app.on_startup.append(fanout._start)
    app.on_shutdown.append(fanout._drain)
    app.on_cleanup.append(fanout._stop)
    return fanout


def _gap(reason: str, lost: int | None, id: str) -> str:
    return dumps({"type": "gap", "reason": reason, "lost": lost, "id": id})


class Fanout(Generic[T]):
    """A group's stream on its way to browsers. Comes from :func:`websocket_fanout`."""

    def __init__(
        self,
        name: bytes | str,
        source: Callable[[aiocpg.Group], AsyncIterator[T]],
        encode: Callable[[T, str], str | bytes | None],
        snapshot: Callable[[], str | bytes | None] | None,
        backlog: Backlog,
        heartbeat: float | None,
        close_timeout: float,
    ) -> None:
        self._name = name
        self._source = source
        self._encode = encode
        self._snapshot = snapshot
        self._backlog = backlog
        self._heartbeat = heartbeat
        self._close_timeout = close_timeout
        self._browsers: set[Browser] = set()
        self._served: set[asyncio.Future[None]] = set()
        self._view: aiocpg.View | None = None
        self._group: aiocpg.Group | None = None
        self._reader: asyncio.Task[None] | None = None
        self._last_word: Frame | None = None
        self._verdict: Verdict | None = None
        self._cut_off = 0

    @property
    def browsers(self) -> int:
        """How many browsers are connected."""
        return len(self._browsers)

    @property
    def cut_off(self) -> int:
        """How many browsers were closed because they were too slow."""
        return self._cut_off

    @property
    def last_id(self) -> str:
        """The id of the last item told. A page that is rendered with it may open its WebSocket ``?after=`` it."""
        return self._backlog.last_id

    async def handler(self, request: web.Request) -> web.WebSocketResponse:
        """
        Serve one browser until it goes or is closed. To refuse some, ask first and call this then.

        Raises:
            HTTPBadRequest: It is no WebSocket handshake.
        """
        ws = web.WebSocketResponse(
            heartbeat=self._heartbeat, timeout=self._close_timeout, compress=False, max_msg_size=MAX_INPUT_BYTES
        )
        await ws.prepare(request)
        if request.transport is None:
            return ws  # gone while it was greeted
        browser = self._admit(ws, request.transport, request.query.get("after"))
        served = asyncio.get_running_loop().create_future()
        self._served.add(served)
        self._browsers.add(browser)
        try:
            await browser.serve()
        finally:
            self._browsers.discard(browser)
            self._served.discard(served)
            served.set_result(None)
        return ws

    def _admit(self, ws: web.WebSocketResponse, transport: asyncio.Transport, after: str | None) -> Browser:
        place = None if after is None else self._backlog.after(after)
        opening = [self._hello(place)]
        if place is None:
            opening += self._beginning(is_gap=after is not None)
            place = self._backlog.next
        browser = Browser(ws, transport, self._backlog, place, opening, self._close_timeout)
        if self._verdict is not None:
            browser.finish(self._verdict)
        return browser

    def _beginning(self, *, is_gap: bool) -> Iterator[Frame]:
        """What a browser gets that does not go on from an earlier place."""
        if is_gap:
            yield frame(_gap("what came after that place is not kept here", None, self._backlog.last_id))
        if self._snapshot is not None and (state := self._snapshot()) is not None:
            yield frame(state)
        if self._last_word is not None:
            yield self._last_word

    def _hello(self, place: int | None) -> Frame:
        assert self._group is not None
        return frame(
            dumps(
                {
                    "type": "hello",
                    "id": self._backlog.last_id if place is None else self._backlog.id_of(place - 1),
                    "continues": place is not None,
                    "group": self._group.name.decode(errors="backslashreplace"),
                    "me": str(self._group.me),
                    "view": None if place is not None or self._view is None else view_fields(self._view),
                }
            )
        )

    # -- Reading the group

    async def _start(self, app: web.Application) -> None:
        self._group = app.get(group_key(self._name))
        if self._group is None:
            raise aiocpg.UsageError(f"websocket_fanout: the application's group_context does not name {self._name!r}")
        self._reader = asyncio.create_task(self._read(self._group), name=f"fan-out of {self._name!r}")

    async def _read(self, group: aiocpg.Group) -> None:
        try:
            while True:
                try:
                    await self._tell_all_of(self._source(group))
                except aiocpg.SlowConsumerError as slow:
                    self._tell(_gap(f"this instance was too slow: {slow}", slow.lost, self._backlog.next_id))
                else:
                    self._end(_LEFT, None)
                    return
        except aiocpg.CPGError as error:
            log.error("the fan-out of %r ends: %s", self._name, error)
            self._end(_LOST, error)
        finally:
            if self._last_word is None:  # a fault of the source or the encoder; whoever awaits the task gets it
                self._end(_LOST, RuntimeError("a fault in this instance; its log has more"))

    async def _tell_all_of(self, items: AsyncIterator[T]) -> None:
        told = 0
        async for item in items:
            if isinstance(item, aiocpg.View):
                self._view = item
            encoded = self._encode(item, self._backlog.next_id)
            if encoded is None:
                continue
            self._tell(encoded)
            told += len(encoded)
            if told >= _BYTES_PER_TURN:
                told = 0
                await asyncio.sleep(0)

    def _tell(self, encoded: str | bytes) -> None:
        self._backlog.append(frame(encoded))
        oldest = self._backlog.oldest
        for browser in self._browsers:
            if browser.place < oldest:
                self._cut(browser)
            else:
                browser.wake()

    def _cut(self, browser: Browser) -> None:
        if browser.cut(_SLOW):
            self._cut_off += 1

    def _end(self, verdict: Verdict, error: Exception | None) -> None:
        name = None if error is None else type(error).__name__
        reason = verdict.reason if error is None else str(error)
        last_word = dumps({"type": "end", "error": name, "reason": reason, "id": self._backlog.next_id})
        self._tell(last_word)
        self._last_word = frame(last_word)
        self._finish(verdict)

    def _finish(self, verdict: Verdict) -> None:
        self._verdict = self._verdict or verdict
        for browser in self._browsers:
            browser.finish(self._verdict)

    # -- The end of the application

    async def _drain(self, app: web.Application) -> None:
        self._finish(_GOING_AWAY)
        if self._served:
            # Each cuts its connection in that time; the bound is for a loop that hangs meanwhile.
            await asyncio.wait(self._served, timeout=2 * self._close_timeout)

    async def _stop(self, app: web.Application) -> None:
        if self._reader is not None:
            # The group was left, so it reads to the end and ends; a source that does not is not waited for.
            await asyncio.wait([self._reader], timeout=self._close_timeout)
            self._reader.cancel()
            await asyncio.wait([self._reader])
