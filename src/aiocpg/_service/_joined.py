"""The groups that a service is in from its start to its end: joined one by one, left together within one bound."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypedDict

import anyio

import aiocpg


class ConnectOptions(TypedDict, total=False):
    """What is handed on to :func:`aiocpg.connect` as it is."""

    connect_timeout: float | None
    close_timeout: float
    reconnect: bool | aiocpg.Reconnect | None
    daemon_uid: int | None


@dataclass(slots=True)
class Joined:
    """A connection and the groups joined over it, by name."""

    connection: aiocpg.Connection
    groups: Mapping[bytes, aiocpg.Group]
    broken: list[str] = field(default_factory=list)
    """What of the service has ended by a fault, for probes: only a restart brings it back."""
    is_ending: bool = False
    """Whether it has begun to leave its groups and to close."""


def encoded(name: bytes | str) -> bytes:
    """The name as it travels, so that text and bytes find the same group. What may be in it, ``join`` decides."""
    return name.encode() if isinstance(name, str) else name


@asynccontextmanager
async def joined(
    names: Sequence[bytes | str],
    url: str | None,
    join_timeout: float | None,
    max_buffered_bytes: int | None,
    stall_after: float | None,
    options: ConnectOptions,
) -> AsyncIterator[Joined]:
    """
    Connect and join; at the end leave all groups at once and close, in ``close_timeout`` seconds in all.

    No task is started and no scope held over the ``yield``: it may be entered in one task and left in another.
    """
    async with aiocpg.connect(url, stall_after=stall_after, **options) as connection:
        # Groups are not entered: closing the connection leaves them together, under its one bound.
        groups = {encoded(name): await _join(connection, name, join_timeout, max_buffered_bytes) for name in names}
        service = Joined(connection, groups)
        try:
            yield service
        finally:
            service.is_ending = True


async def _join(
    connection: aiocpg.Connection, name: bytes | str, seconds: float | None, max_buffered_bytes: int | None
) -> aiocpg.Group:
    opening = (
        connection.join(name)
        if max_buffered_bytes is None
        else connection.join(name, max_buffered_bytes=max_buffered_bytes)
    )
    with anyio.move_on_after(seconds):
        return await opening
    raise aiocpg.EngineUnavailableError(
        f"group {encoded(name)!r} did not let us in within {seconds:g} s",
        "the cluster is forming a ring, or a daemon is overloaded: try again, or look at its log",
        transient=True,
    )
