"""
Engines, and choosing one by URL. There is no silent fallback: who asked for a cluster must not get a private world.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiocpg._loop import LoopPort
from aiocpg.engine._base import Engine
from aiocpg.engine._url import check_url

DEFAULT_URL = "corosync://"


def prepare(url: str) -> None:
    """
    Import the engine that a URL names, now: not in the running loop, nor after privileges were dropped.

    Raises:
        UsageError: The URL names no engine, or has parts that its engine knows nothing of.
    """
    _engine_of(check_url(url).scheme)


def _engine_of(scheme: str) -> Any:
    # Only the engine that is asked for is imported: each brings its own dependencies.
    if scheme == "local":
        from aiocpg.engine import local  # noqa: PLC0415

        return local
    if scheme == "memory":
        from aiocpg.engine import memory  # noqa: PLC0415

        return memory
    from aiocpg.engine import corosync  # noqa: PLC0415

    return corosync


async def open_engine(
    url: str, port: LoopPort, *, daemon_uid: int | None = None, enter: Callable[[], object] | None = None
) -> Engine:
    """
    Open the engine that a URL names.

    Args:
        url: As :func:`check_url` takes it.
        port: The running loop.
        daemon_uid: Refuse a daemon that runs as another user.
        enter: Takes a fresh thread to the namespaces of the daemon, for tests with several on one machine.

    Raises:
        EngineUnavailableError: With the reason and the cure.
        UsageError: The URL names no engine, or has parts that its engine knows nothing of.
    """
    parts = check_url(url)
    engine: Engine = await _engine_of(parts.scheme).open_url(parts, port, daemon_uid=daemon_uid, enter=enter)
    return engine
