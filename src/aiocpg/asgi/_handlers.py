"""What handlers of an ASGI application need: its groups, its connection, and answers for probes."""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from typing import Protocol

import aiocpg
from aiocpg import _service
from aiocpg.asgi._lifespan import STATE, Receive, Scope, Send


class HasScope(Protocol):
    """A request or WebSocket of Starlette or FastAPI."""

    @property
    def scope(self) -> Scope: ...


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
    joined: _service.Joined | None = scope.get("state", {}).get(STATE)
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

With ``reconnect`` a daemon that is away is come back to, so the process lives; without, its loss is the end. A group
that the application has left itself is over as well, unless the application is stopping: nothing joins it again. One
that is to come and go is not for :func:`group_lifespan`; join it over :func:`connection_of`, which no probe looks at.
"""
