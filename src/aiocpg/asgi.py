"""
Groups in an ASGI application: joined at its start, left at its end. For Starlette and FastAPI, and for none of them.

No framework is imported. What is shared with handlers lies in the scope's ``state``, where the lifespan protocol has
it; Starlette shows it as ``request.state``.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeAlias, Unpack

import aiocpg
from aiocpg import _service

__all__ = ["connection_of", "group_lifespan", "group_of", "liveness", "readiness", "with_lifespan"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]

_STATE = "aiocpg"


class HasScope(Protocol):
    """A request or WebSocket of Starlette or FastAPI."""

    @property
    def scope(self) -> Scope: ...


def group_lifespan(
    *names: bytes | str,
    url: str | None = None,
    join_timeout: float | None = 30,
    max_buffered_bytes: int | None = None,
    stall_after: float | None = 5,
    **options: Unpack[_service.ConnectOptions],
) -> Lifespan:
    """
    For ``lifespan=`` of Starlette and FastAPI: be a member of these groups while the application runs.

    At start-up it connects and joins, one group after the other; what fails there ends the start. At shutdown, when
    the server has answered the requests in progress, all groups are left together and the connection is closed, within
    ``close_timeout`` seconds whatever the daemon does.

    Handlers find the groups with :func:`group_of`. A process is in a group once, and so is each worker of a server with
    several: every worker is a member of its own.

    Args:
        names: One or more groups.
        url: As for :func:`aiocpg.connect`.
        join_timeout: Seconds that joining one group may take; None waits for ever.
        max_buffered_bytes: As for :meth:`aiocpg.Connection.join`, for each group.
        stall_after: As for :func:`aiocpg.connect`, but 5 seconds unless given: :data:`readiness` is to notice a daemon
            that stands still, also while nobody sends.
        options: ``connect_timeout``, ``close_timeout``, ``reconnect`` and ``daemon_uid`` as for
            :func:`aiocpg.connect`.

    Returns:
        A function that takes the application and returns an asynchronous context manager. What it yields is for the
        scope's ``state``; a lifespan of your own enters it and yields that among its own.

    Raises:
        TypeError: No group is named.

    The start of the application raises:
        EngineUnavailableError: With the reason and the cure; also for a group that does not let us in in time.
        GroupNameError, AlreadyJoinedError, ConnectionLostError: As :meth:`aiocpg.Connection.join`.

    Example::

        app = FastAPI(lifespan=group_lifespan("orders", reconnect=True))
    """
    if not names:
        raise TypeError("group_lifespan() takes the names of one or more groups")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with _service.joined(names, url, join_timeout, max_buffered_bytes, stall_after, options) as service:
            yield {_STATE: service}

    return lifespan


def group_of(where: HasScope | Scope, name: bytes | str) -> aiocpg.Group:
    """
    The group of this name that :func:`group_lifespan` has joined.

    Args:
        where: A request or WebSocket of Starlette or FastAPI, or the scope of ASGI.
        name: As :func:`group_lifespan` got it; text and its UTF-8 are one name.

    Raises:
        UsageError: The application has no ``group_lifespan``, or it does not name this group.
    """
    groups = _joined(where).groups
    encoded = _service.encoded(name)
    if encoded not in groups:
        raise aiocpg.UsageError(f"the application's group_lifespan does not name {name!r}")
    return groups[encoded]


def connection_of(where: HasScope | Scope) -> aiocpg.Connection:
    """
    The connection that :func:`group_lifespan` has opened.

    Args:
        where: A request or WebSocket of Starlette or FastAPI, or the scope of ASGI.

    Raises:
        UsageError: The application has no ``group_lifespan``.
    """
    return _joined(where).connection


def _joined(where: HasScope | Scope) -> _service.Joined:
    scope = where if isinstance(where, MutableMapping) else where.scope
    joined: _service.Joined | None = scope.get("state", {}).get(_STATE)
    if joined is None:
        raise aiocpg.UsageError("the application has no group_lifespan, or its own lifespan does not yield its state")
    return joined


class _Probe:
    """An ASGI application that answers one question about the groups."""

    def __init__(self, ask: Callable[[_service.Joined], _service.Answer], doc: str) -> None:
        self._ask = ask
        self.__doc__ = doc

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._ask(_joined(scope))
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer.body).encode()})


readiness = _Probe(_service.readiness, "Answers 200 where requests should come here, 503 otherwise, with the reasons.")
"""
An ASGI application: 200 where requests should come here, 503 otherwise, with the reasons as JSON.

Ready is: there is a daemon, it answers, and it has this process in every group of :func:`group_lifespan`. It asks
nobody and costs nothing. It does not judge the ring, which is in the answer.
"""

liveness = _Probe(_service.liveness, "Answers 503 where only a restart helps, 200 otherwise.")
"""
An ASGI application: 503 where only a restart helps, because the connection or a group is over for good; 200 otherwise.

With ``reconnect`` a daemon that is away is come back to, so the process lives; without, its loss is the end.
"""


def with_lifespan(app: ASGIApp, lifespan: Lifespan) -> ASGIApp:
    """
    An ASGI application that serves the lifespan protocol itself and hands everything else to ``app``.

    For applications without a framework; Starlette and FastAPI take the lifespan as an argument. What the lifespan
    yields is in the ``state`` of every scope, whether the server keeps one or not. A start that fails is told to the
    server, which then does not serve.

    Example::

        app = with_lifespan(app, group_lifespan("orders"))
    """
    return _WithLifespan(app, lifespan)


class _WithLifespan:
    def __init__(self, app: ASGIApp, lifespan: Lifespan) -> None:
        self._app = app
        self._lifespan = lifespan
        self._state: Mapping[str, Any] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._app({**scope, "state": {**scope.get("state", {}), **self._state}}, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        phase = "startup"
        try:
            async with self._lifespan(self._app) as self._state:
                await send({"type": "lifespan.startup.complete"})
                phase = "shutdown"
                await receive()
        except BaseException as error:
            await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
            raise
        await send({"type": "lifespan.shutdown.complete"})
