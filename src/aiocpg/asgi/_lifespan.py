"""From the start of an ASGI application to its end: as frameworks have it, and for applications without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias, Unpack

from aiocpg import _service

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]

STATE = "aiocpg"
"""What is shared with handlers lies under this name in the scope's ``state``."""


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
            yield {STATE: service}

    return lifespan


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
