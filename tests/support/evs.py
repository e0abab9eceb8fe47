"""What tests of handles share: handles on the nodes of a cluster, reading up to something, strangers in a domain."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

import anyio

from aiocpg import Connection, evs
from aiocpg.evs import Delivery, Evs, EvsEvent, Receipt, RegularConfiguration, Ticket
from aiocpg.evs._domain import PREFIX, Domain
from aiocpg.testing import MemoryCluster
from support.running import PATIENCE, until

T = TypeVar("T")

SOON = 0.02
"""Seconds after which what is held counts as stalled, where a test waits for that."""


@contextlib.asynccontextmanager
async def handles(cluster: MemoryCluster, *nodeids: int, **options: Any) -> AsyncIterator[list[Evs]]:
    """One handle on each of these nodes, all in one domain; each has read up to the configuration of all."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [
            await stack.enter_async_context(evs.connect(cluster.node(nodeid).url, **options)) for nodeid in nodeids
        ]
        await together(opened)
        for one in opened:
            await unread(one)
        yield opened


async def together(opened: Sequence[Evs]) -> None:
    """Wait until all have installed the configuration of all, and have not been told of anything since."""
    everybody = tuple(sorted({one.me for one in opened}))
    await until(lambda: all(one.membership_get().members == everybody for one in opened))


async def unread(handle: Evs) -> list[EvsEvent]:
    """All that a handle holds; there is something."""
    with anyio.fail_after(PATIENCE):
        return await handle.events().receive_batch()


async def read_until(handle: Evs, is_last: Callable[[EvsEvent], object]) -> list[EvsEvent]:
    """Read up to and with the first event of which this is true."""
    events: list[EvsEvent] = []
    with anyio.fail_after(PATIENCE):
        async for event in handle:
            events.append(event)
            if is_last(event):
                return events
    raise AssertionError(f"the stream ended after {events}")


async def read(handle: Evs, kind: type[T]) -> T:
    """Read up to the next event of this kind."""
    event = (await read_until(handle, lambda event: isinstance(event, kind)))[-1]
    assert isinstance(event, kind)
    return event


async def to_end(handle: Evs) -> list[EvsEvent]:
    """Read all there is, up to the end."""
    with anyio.fail_after(PATIENCE):
        return [event async for event in handle]


async def data_until(handle: Evs, last: bytes) -> list[bytes]:
    """The payloads up to and with this one."""
    return payloads(await read_until(handle, lambda event: isinstance(event, Delivery) and event.data == last))


def payloads(events: Sequence[EvsEvent]) -> list[bytes]:
    """Of the messages among them."""
    return [event.data for event in events if isinstance(event, Delivery)]


def configurations(events: Sequence[EvsEvent]) -> list[EvsEvent]:
    """All but the messages."""
    return [event for event in events if not isinstance(event, Delivery)]


def is_regular(*nodes: int) -> Callable[[EvsEvent], bool]:
    """Whether an event is a regular configuration with members on exactly these nodes."""

    def is_it(event: EvsEvent) -> bool:
        return isinstance(event, RegularConfiguration) and tuple(one.nodeid for one in event.members) == nodes

    return is_it


@contextlib.asynccontextmanager
async def stranger(connection: Connection, domain: bytes = b"default") -> AsyncIterator[None]:
    """Somebody in the domain's CPG group who says nothing, as a stopped process does."""
    async with connection.join(PREFIX + domain, max_buffered_bytes=0):
        yield


def domain_of(handle: Evs) -> Domain:
    """The endpoint behind a handle, for tests that look inside."""
    return handle._domain


async def receipt(ticket: Ticket) -> Receipt:
    """What became of a message."""
    with anyio.fail_after(PATIENCE):
        return await ticket.delivered()


async def alone(handle: Evs) -> None:
    """Wait until nobody else is in the domain."""
    await until(lambda: handle.membership_get().members == (handle.me,))


def nth(number: int) -> Callable[[EvsEvent], bool]:
    """Whether an event is the delivery with this number, counted from 1 with each that is asked about."""
    left = itertools.count(number - 1, -1)
    return lambda event: isinstance(event, Delivery) and next(left) == 0


def deafen(handle: Evs) -> None:
    """Leave no room between the group and the endpoint, as a loop that stands still does in the long run."""
    for inbox, _ in domain_of(handle)._group._pump.hub._held:
        inbox._limit = 0


def drop(handle: Evs, is_dropped: Callable[[bytes], bool]) -> None:
    """Lose some of the frames that go out, as a daemon does that forms a ring."""
    group = domain_of(handle)._group
    send, send_now = group.mcast_many, group.mcast_nowait

    async def mcast_many(messages: Iterable[bytes]) -> None:
        await send([message for message in messages if not is_dropped(message)])

    def mcast_nowait(message: bytes) -> bool:
        return is_dropped(message) or send_now(message)

    group.mcast_many = mcast_many  # type: ignore[method-assign, assignment]
    group.mcast_nowait = mcast_nowait  # type: ignore[method-assign, assignment]
