"""An application's groups, from its start to its end, and the keys under which handlers find them."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from typing import Unpack

from aiohttp import web

import aiocpg
from aiocpg._service import ConnectOptions, Joined, encoded, joined

CONNECTION = web.AppKey("CONNECTION", aiocpg.Connection)
"""The connection that :func:`group_context` has opened: ``app[CONNECTION]``."""

JOINED = web.AppKey("JOINED", Joined)


def group_key(name: bytes | str) -> web.AppKey[aiocpg.Group]:
    """
    The key under which an application holds the group of this name, the same at each call.

    Handlers of a sub-application find the groups of the application around it with ``request.config_dict[...]``.

    Args:
        name: The group's name, as :func:`group_context` got it; text and its UTF-8 are one name.

    Example::

        ORDERS = group_key("orders")

        async def post(request: web.Request) -> web.Response:
            await request.app[ORDERS].mcast(await request.read())
            return web.Response(status=202)
    """
    return _key(encoded(name))


@functools.cache
def _key(name: bytes) -> web.AppKey[aiocpg.Group]:
    return web.AppKey(f"group {name!r}", aiocpg.Group)


def group_context(
    *names: bytes | str,
    url: str | None = None,
    join_timeout: float | None = 30,
    max_buffered_bytes: int | None = None,
    stall_after: float | None = 5,
    **options: Unpack[ConnectOptions],
) -> Callable[[web.Application], AsyncIterator[None]]:
    """
    For ``app.cleanup_ctx``: be a member of these groups while the application runs.

    At start-up it connects and joins, one group after the other; what fails there ends the start. At clean-up all
    groups are left together and the connection is closed, within ``close_timeout`` seconds whatever the daemon does.
    aiohttp cleans up when it takes no more requests and those in progress are answered, so what they sent stands in
    the order before our departure.

    Handlers find the groups at ``app[group_key(name)]`` and the connection at ``app[CONNECTION]``. An application has
    one ``group_context`` with all its groups. A process is in a group once, and so is each worker of a server with
    several: every worker is a member of its own.

    Args:
        names: One or more groups.
        url: As for :func:`aiocpg.connect`.
        join_timeout: Seconds that joining one group may take; None waits for ever.
        max_buffered_bytes: As for :meth:`aiocpg.Connection.join`, for each group.
        stall_after: As for :func:`aiocpg.connect`, but 5 seconds unless given: :func:`readiness` is to notice a daemon
            that stands still, also while nobody sends.
        options: ``connect_timeout``, ``close_timeout``, ``reconnect`` and ``daemon_uid`` as for
            :func:`aiocpg.connect`.

    Raises:
        TypeError: No group is named.

    The start of the application raises:
        EngineUnavailableError: With the reason and the cure; also for a group that does not let us in in time.
        GroupNameError, AlreadyJoinedError, ConnectionLostError: As :meth:`aiocpg.Connection.join`.
        UsageError: The application has a ``group_context`` already, or the URL is wrong.

    Example::

        app.cleanup_ctx.append(group_context("orders", url="corosync://", reconnect=True))
    """
    if not names:
        raise TypeError("group_context() takes the names of one or more groups")

    async def context(app: web.Application) -> AsyncIterator[None]:
        if JOINED in app:
            raise aiocpg.UsageError("the application has a group_context: name all groups in that one")
        async with joined(names, url, join_timeout, max_buffered_bytes, stall_after, options) as service:
            app[JOINED] = service
            app[CONNECTION] = service.connection
            for name, group in service.groups.items():
                app[_key(name)] = group
            yield

    return context
