"""
Engines, and choosing one by URL. There is no silent fallback: who asked for a cluster must not get a private world.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import SplitResult, urlsplit

from aiocpg._loop import LoopPort
from aiocpg.engine._base import Engine
from aiocpg.errors import UsageError

DEFAULT_URL = "corosync://"


def check_url(url: str) -> SplitResult:
    """
    The parts of a URL that names an engine.

    Raises:
        UsageError: It names none, or has parts that its engine knows nothing of.
    """
    if not isinstance(url, str):
        raise UsageError(f"a URL is text like 'corosync://', not {url!r}")
    parts = urlsplit(url)
    if parts.scheme != "corosync":
        raise UsageError(f"no engine is called by {url!r}: use 'corosync://', the daemon on this host")
    if parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{url!r}: 'corosync://' takes nothing after it, libcpg reaches the daemon on this host only")
    return parts


def prepare(url: str) -> None:
    """
    Import the engine that a URL names, now: not in the running loop, nor after privileges were dropped.

    Raises:
        UsageError: The URL names no engine.
    """
    check_url(url)
    _corosync()


def _corosync() -> ModuleType:
    # Only the engine that is asked for is imported: each brings its own dependencies.
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
        UsageError: The URL names no engine.
    """
    check_url(url)
    corosync: Any = _corosync()
    engine: Engine = await corosync.open_engine(port, corosync.Daemon(enter), daemon_uid)
    return engine
