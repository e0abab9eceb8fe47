"""A member that does with aiocpg what ``member.c`` does with libcpg: send by a plan, record everything, end."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

import anyio

from aiocpg import Address, ConfigurationChange, Event, Group, Message
from interop.c_member import Plan
from interop.history import Change, Content, Delivery, Record
from interop.payload import HEADER, make_payload, sequence_of

BATCH = 500

Send: TypeAlias = Callable[[Group, Sequence[bytes]], Coroutine[Any, Any, None]]


async def send_one_by_one(group: Group, payloads: Sequence[bytes]) -> None:
    """Send each message with a call of its own; those above the limit natively."""
    for payload in payloads:
        await group.mcast(payload, native=len(payload) > group.max_message_size)


async def send_in_pieces(group: Group, payloads: Sequence[bytes]) -> None:
    """Send header and rest of each message as two buffers, the rest as a view."""
    for payload in payloads:
        await group.mcast(payload[: HEADER.size], memoryview(payload)[HEADER.size :])


async def send_in_batches(group: Group, payloads: Sequence[bytes]) -> None:
    """Send many messages with each call."""
    for start in range(0, len(payloads), BATCH):
        await group.mcast_many(payloads[start : start + BATCH])


async def run_member(group: Group, plan: Plan, send: Send, *, members: int, expected: int) -> list[Record]:
    """Send the plan once ``members`` are there, and return what was seen when ``expected`` messages have come."""
    payloads = [make_payload(group.me, sequence, size) for sequence, size in plan.messages()]
    records: list[Record] = []
    delivered, started = 0, False
    async with anyio.create_task_group() as tasks:
        while delivered < expected:
            event = await anext(aiter(group))
            records += _records_of(event)
            delivered += isinstance(event, Message)
            if not started and isinstance(event, ConfigurationChange) and len(event.members) == members:
                started = True
                tasks.start_soon(send, group, payloads)
    return records


def contents_of(sender: Address, plan: Plan) -> list[Content]:
    """Return what a sender with this plan sends, whichever language it is written in."""
    sent = []
    for sequence, size in plan.messages():
        payload = make_payload(sender, sequence, size)
        sent.append(_content(sender, payload))
    return sent


def _content(sender: Address, data: bytes) -> Content:
    return Content(len(data), sequence_of(sender, data), zlib.crc32(data))


def _records_of(event: Event) -> list[Record]:
    if isinstance(event, Message):
        return [Delivery(event.sender, _content(event.sender, event.data))]
    if not isinstance(event, ConfigurationChange):
        return []
    left: list[Record] = [Change("L", change.address, change.reason) for change in event.left]
    return [*left, *(Change("J", change.address, change.reason) for change in event.joined)]
