"""``aiocpg.evs.connect``: from a URL or a connection to a handle."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from urllib.parse import urlsplit

import anyio

import aiocpg
from aiocpg import Connection, Reconnect
from aiocpg._loop import current_port
from aiocpg._names import MAX_NAME_LENGTH
from aiocpg._opening import Opening
from aiocpg._state.inbox import MAX_BUFFERED_BYTES, checked_budget
from aiocpg._state.reconnect import policy_of
from aiocpg.errors import GroupNameError, UsageError
from aiocpg.evs._domain import PREFIX, Domain
from aiocpg.evs._endpoint import Settings
from aiocpg.evs._handle import Evs
from aiocpg.evs._options import Options
from aiocpg.evs._readers import Seat
from aiocpg.evs._registry import lease
from aiocpg.evs._routing import at_once
from aiocpg.evs._values import GroupLike, as_groups

MAX_DOMAIN_LENGTH = MAX_NAME_LENGTH - len(PREFIX)
"""Bytes of a domain's name."""

_DEFAULT_URL = "corosync://"
"""What :func:`aiocpg.connect` takes where no URL is given, for telling that who names it means the same endpoint."""

_DRAINING = 0.8
"""The share of the time for closing that may go by until the outcome of all that was sent is known."""

_GRACE = 0.1
"""Seconds that closing a connection of one's own has at least: a daemon that is well needs a hundredth of it."""


def connect(  # noqa: PLR0913 - each is a name that somebody types, and most are left out
    url: str | None = None,
    *,
    domain: bytes | str = "default",
    groups: Iterable[GroupLike] = (),
    connection: Connection | None = None,
    connect_timeout: float | None = 10,
    close_timeout: float = 5,
    reconnect: bool | Reconnect | None = None,
    daemon_uid: int | None = None,
    max_buffered_bytes: int = MAX_BUFFERED_BYTES,
    max_frame: int = 131072,
    window: int = 4 * 1024 * 1024,
    ack_interval: float = 0,
    stall_timeout: float = 1.0,
    evict_after: float | None = None,
    strict_views: bool = False,
    crc: bool = False,
    context: object = None,
) -> Opening[Evs]:
    """
    Open a handle of a domain (``evs_initialize``): ``await`` it, or enter it with ``async with``, which closes.

    Returns when a configuration is there. The handle's first event is the one in which it was opened, and each message
    for ``groups`` that this endpoint delivers from then on follows. Who answers for what it acknowledges joins in this
    way: what comes between :func:`connect` and :meth:`Evs.join` is acknowledged too, and does not come to the handle.

    A process has one endpoint in a domain, which its handles share: all are given the same URL, or the same connection,
    and the same options but for ``groups``, ``connect_timeout``, ``close_timeout``, ``max_buffered_bytes`` and
    ``context``. With ``memory://`` each call makes a process of its own, as :func:`aiocpg.connect` does; handles that
    shall share an endpoint are given one ``connection``.

    Cancelling is safe: nothing stays open; others may see the endpoint come and go.

    Args:
        url: As for :func:`aiocpg.connect`; ``$AIOCPG_URL`` unless given.
        domain: Which domain: 1 to 115 bytes, or text that has so many in UTF-8. Endpoints of one domain see one
            order; two domains have nothing to do with each other.
        groups: What the handle has joined from its beginning, as with :meth:`Evs.join`: at most 50, each up to 32
            bytes. One group goes in a list, too.
        connection: Talk through this one, which stays open when the handle is closed, instead of one of its own.
        connect_timeout: As for :func:`aiocpg.connect`.
        close_timeout: Seconds for what has been sent to be delivered, for leaving, and for closing a connection of its
            own, in all, when this handle is closed and is the process's last in the domain.
        reconnect: As for :func:`aiocpg.connect`: come back when the daemon is lost. The gap shows as
            :class:`~aiocpg.Disconnected`.
        daemon_uid: As for :func:`aiocpg.connect`.
        max_buffered_bytes: What this handle may hold unread: payload + 256 bytes per event.
        max_frame: Bytes up to which messages are packed into one of Corosync's, 512 or more. Larger messages go alone,
            or in pieces of so many bytes.
        window: Bytes of this process's messages that may be under way, counted as payload + 64 per message. One that
            is larger goes alone.
        ack_interval: Least seconds between two bare acknowledgements of a member; more makes fewer of them, and SAFE
            slower. There is never more than one on its way anyhow.
        stall_timeout: Seconds after which what is held counts as stalled, more than 0.
        evict_after: Seconds after which a member that does not answer is left out, ``stall_timeout`` or more; None:
            never. It takes a stopped process for a dead one, which then comes back as a newcomer. Who was left out less
            than a minute ago is left out again after ``stall_timeout``.
        strict_views: Let each change of configuration wait until all that go on have vouched for what they had, so
            that those of a transitional configuration have the same AGREED messages. All members of a domain have to
            choose the same. A stopped member then holds up changes.
        crc: Checksum every frame, for finding bad memory; all that it finds is dropped.
        context: See :attr:`Evs.context`.

    Raises:
        TypeError: ``groups`` is one bare group.
        GroupNameError: The domain's name, or a group, cannot be used.
        TooManyGroupsError: The groups are more than 50.
        ValueError: An option is out of its range.
        UsageError: ``url`` and ``connection`` are both given, or this process's endpoint has other options.
        AlreadyJoinedError: This process has an endpoint in the domain on this node, in another event loop or by another
            connection.
        EngineUnavailableError: With the reason and the cure.

    Example::

        from aiocpg import evs

        async with evs.connect(domain="shop", groups=["orders"]) as handle:
            async for event in handle:
                ...
    """
    group = PREFIX + _domain_name(domain)
    joined = at_once(as_groups(groups))
    budget = checked_budget(max_buffered_bytes)
    settings = Settings(ack_interval, stall_timeout, evict_after, strict_views, crc)
    options = Options(max_frame, window, settings, policy_of(reconnect), daemon_uid)
    if connection is not None and (url is not None or reconnect is not None or daemon_uid is not None):
        raise UsageError("a connection was given, which has a URL and ways of its own: leave out the rest")
    chosen = _chosen(url)

    async def own() -> Connection:
        return await aiocpg.connect(
            chosen,
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            reconnect=reconnect,
            daemon_uid=daemon_uid,
        )

    def sit(opened: Domain) -> Seat:
        return opened.readers.open(budget, joined)

    async def open_domain(seats: list[Seat]) -> Domain:
        talking = connection or await own()
        try:
            return await _begin(talking, group, options, lambda opened: seats.append(sit(opened)))
        except BaseException:
            if connection is None:
                with anyio.CancelScope(shield=True):
                    await talking.aclose()
            raise

    async def close_domain(opened: Domain, seconds: float) -> None:
        end = anyio.current_time() + seconds
        try:
            with anyio.move_on_after(seconds):
                with anyio.move_on_after(seconds * _DRAINING):
                    await opened.drain()
                await opened.leave()
        finally:
            await opened.give_up()
            if connection is None:
                with anyio.move_on_after(max(end - anyio.current_time(), _GRACE)):
                    await opened.connection.aclose()

    async def open_() -> Evs:
        key = _key(chosen, connection, group)
        seats: list[Seat] = []  # who opens the endpoint has its own before anything is delivered
        leased = await lease(key, group, options, lambda: open_domain(seats), close_domain)
        seat = seats[0] if seats else sit(leased.domain)
        return Evs(leased, seat, close_timeout, context)

    return Opening(open_, f"domain {group.removeprefix(PREFIX)!r}")


async def _begin(connection: Connection, group: bytes, options: Options, sit: Callable[[Domain], object]) -> Domain:
    joined = await connection.join(group)
    domain = Domain(connection, joined, current_port(), options)
    sit(domain)
    try:
        await domain.begin()
    except BaseException:
        await domain.give_up()
        raise
    return domain


def _chosen(url: str | None) -> str:
    return url or os.environ.get("AIOCPG_URL") or _DEFAULT_URL


def _key(url: str, connection: Connection | None, group: bytes) -> Hashable:
    """What tells this process's endpoints apart."""
    if connection is not None:
        return connection, group
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, group  # connecting says what is wrong with it
    if parts.scheme == "memory":
        return object()  # each is a process of its own
    return parts._replace(path=parts.path.strip("/")), group  # "corosync:" and "corosync:///" are one daemon


def _domain_name(domain: bytes | str) -> bytes:
    if not isinstance(domain, (bytes, str)):
        raise GroupNameError(domain, f"a domain's name is bytes or text, not {type(domain).__name__}")
    name = domain.encode() if isinstance(domain, str) else domain
    if not 1 <= len(name) <= MAX_DOMAIN_LENGTH:
        raise GroupNameError(domain, f"a domain's name has 1 to {MAX_DOMAIN_LENGTH} bytes, this has {len(name)}")
    return name
