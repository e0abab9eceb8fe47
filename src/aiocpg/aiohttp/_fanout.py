"""The ordered stream of a group to any number of browsers: read and encoded once, sent to each at its own pace."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar, overload

from aiohttp import web

import aiocpg
from aiocpg.aiohttp._backlog import Backlog
from aiocpg.aiohttp._browser import Browser
from aiocpg.aiohttp._context import JOINED, group_key
from aiocpg.aiohttp._encoding import encode_json
from aiocpg.aiohttp._feed import Feed
from aiocpg.aiohttp._words import GOING_AWAY

MAX_BACKLOG_BYTES = 4 * 1024 * 1024
"""Bytes of what was told that are kept for browsers that are behind or come back."""

HEARTBEAT_SECONDS = 20.0
"""Seconds between pings to a browser; one that does not answer within half of it is gone."""

CLOSE_SECONDS = 5.0
"""Seconds that closing a browser's connection in order may take."""

MAX_INPUT_BYTES = 4096
"""Bytes of one message from a browser; they are not read."""

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
    application shuts down, browsers get what was told so far and are closed with 1001, before the group is left; those
    of all its fan-outs at the same time, so the longest ``close_timeout`` among them is enough for all.

    A browser first gets ``hello``, which says where in the stream it is. With ``?after=ID`` in its URL, the id of the
    last message it had, it goes on behind that one if the instance is the same and all since is still kept; otherwise
    it gets ``gap``. The words that browsers get are listed in the reference.

    Args:
        app: The application, not yet started.
        name: One of its groups.
        source: What to show of the group, an asynchronous generator for instance, which may keep state as it goes. It
            is called at start-up, and again after a :class:`aiocpg.SlowConsumerError`, and with ``reconnect`` after a
            :class:`aiocpg.ConnectionLostError`, which browsers are told as ``gap``. Any other error is the end:
            browsers are told, and closed with 1011, and probes answer 503. It ends when the group is left; one that
            does not is cancelled ``close_timeout`` seconds later. ``group.events()`` unless given.
        encode: Makes of each item what browsers get: text, bytes, or None for nothing. Its second argument is the id to
            put into it. Called once for each item, in order, in the event loop. :func:`encode_json` unless given.
        snapshot: What a browser gets behind ``hello`` when it does not go on from an earlier place: the state that the
            items behind it change. It is called between two items, so nothing is missing or doubled.
        max_backlog_bytes: What is kept for browsers that are behind or come back, for all of them together: bytes
            encoded + 256 for each item.
        heartbeat: Seconds between pings; None for none. A ping waits behind what is being sent, so one item, or the
            snapshot, that takes a browser's line longer than half of it counts as no answer.
        close_timeout: Seconds that closing a browser may take before its connection is cut; at shutdown, sending what
            it has not got yet is in it.

    Example::

        fanout = websocket_fanout(app, "orders")
        app.router.add_get("/events", fanout.handler)
    """
    fanout = Fanout(name, source, Feed(encode, snapshot, Backlog(max_backlog_bytes)), heartbeat, close_timeout)
    if _FANOUTS not in app:
        app[_FANOUTS] = []
        app.on_startup.append(_start_all)
        app.on_shutdown.append(_drain_all)
        app.on_cleanup.append(_stop_all)
    app[_FANOUTS].append(fanout)
    return fanout


class Fanout(Generic[T]):
    """A group's stream on its way to browsers. Comes from :func:`websocket_fanout`."""

    def __init__(
        self,
        name: bytes | str,
        source: Callable[[aiocpg.Group], AsyncIterator[T]],
        feed: Feed[T],
        heartbeat: float | None,
        close_timeout: float,
    ) -> None:
        self._name = name
        self._source = source
        self._feed = feed
        self._heartbeat = heartbeat
        self._close_timeout = close_timeout
        self._served: set[asyncio.Future[None]] = set()
        self._group: aiocpg.Group | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def browsers(self) -> int:
        """How many browsers are connected."""
        return len(self._feed.readers)

    @property
    def cut_off(self) -> int:
        """How many browsers were closed because they were too slow."""
        return self._feed.cut_off

    @property
    def last_id(self) -> str:
        """The id of the last item told. A page that is rendered with it may open its WebSocket with ``?after=`` it."""
        return self._feed.backlog.last_id

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
        assert self._group is not None  # it is there from the start of the application on
        place, opening = self._feed.opening(self._group, request.query.get("after"))
        browser = Browser(ws, request.transport, self._feed.backlog, place, opening, self._close_timeout)
        if self._feed.verdict is not None:
            browser.finish(self._feed.verdict)
        served = asyncio.get_running_loop().create_future()
        self._served.add(served)
        self._feed.readers.add(browser)
        try:
            await browser.serve()
        finally:
            self._feed.readers.discard(browser)
            self._served.discard(served)
            served.set_result(None)
        return ws

    async def _start(self, app: web.Application) -> None:
        self._group = app.get(group_key(self._name))
        if self._group is None:
            raise aiocpg.UsageError(f"websocket_fanout: the application's group_context does not name {self._name!r}")
        self._reading = asyncio.create_task(
            self._feed.read(self._group, self._source), name=f"fan-out of {self._name!r}"
        )
        self._reading.add_done_callback(functools.partial(self._tell_of_fault, app[JOINED].broken))

    def _tell_of_fault(self, broken: list[str], reading: asyncio.Task[None]) -> None:
        if not reading.cancelled() and (fault := reading.exception()) is not None:
            log.error("the fan-out of %r ends by a fault in its source or encoder", self._name, exc_info=fault)
            broken.append(f"the fan-out of {self._name!r} has ended: {fault!r}")

    async def _drain(self) -> None:
        self._feed.finish(GOING_AWAY)
        if self._served:
            # Each cuts its connection in that time; the bound is for a loop that hangs meanwhile.
            await asyncio.wait(self._served, timeout=2 * self._close_timeout)

    async def _stop(self) -> None:
        if self._reading is not None:
            # The group was left, so it reads to the end and ends; a source that does not is not waited for.
            await asyncio.wait([self._reading], timeout=self._close_timeout)
            self._reading.cancel()
            await asyncio.wait([self._reading])


_FANOUTS: web.AppKey[list[Fanout[Any]]] = web.AppKey("FANOUTS", list)
"""All of an application, which calls its hooks one after the other: one hook for all keeps them within one bound."""


async def _start_all(app: web.Application) -> None:
    for fanout in app[_FANOUTS]:
        await fanout._start(app)


async def _drain_all(app: web.Application) -> None:
    await asyncio.gather(*(fanout._drain() for fanout in app[_FANOUTS]))


async def _stop_all(app: web.Application) -> None:
    await asyncio.gather(*(fanout._stop() for fanout in app[_FANOUTS]))
