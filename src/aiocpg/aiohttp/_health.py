"""Handlers for the probes of load balancers and service managers."""

from __future__ import annotations

from aiohttp import web

import aiocpg
from aiocpg import _service
from aiocpg.aiohttp._context import JOINED


async def readiness(request: web.Request) -> web.Response:
    """
    Answer 200 where requests should come here, 503 otherwise, with the reasons as JSON.

    Ready is: there is a daemon, it answers, and it has this process in every group of :func:`group_context`. It asks
    nobody and costs nothing. It does not judge the ring, which is in the answer. A fan-out that ended by a fault of its
    source or encoder is a reason against it, too.

    Example::

        app.router.add_get("/ready", readiness)
    """
    return _respond(_service.readiness(_joined(request)))


async def liveness(request: web.Request) -> web.Response:
    """
    Answer 503 where only a restart helps: the connection, a group or a fan-out is over for good. 200 otherwise.

    With ``reconnect`` a daemon that is away is come back to, so the process lives; without, its loss is the end. A
    group that the application has left itself is over as well, unless the application is stopping: nothing joins it
    again. One that is to come and go is not for :func:`group_context`; join it over ``app[CONNECTION]``, which no probe
    looks at.

    Example::

        app.router.add_get("/live", liveness)
    """
    return _respond(_service.liveness(_joined(request)))


def _joined(request: web.Request) -> _service.Joined:
    joined: _service.Joined | None = request.config_dict.get(JOINED)
    if joined is None:
        raise aiocpg.UsageError("the application has no group_context: append one to its cleanup_ctx")
    return joined


def _respond(answer: _service.Answer) -> web.Response:
    return web.json_response(answer.body, status=answer.status, headers={"Cache-Control": "no-store"})
