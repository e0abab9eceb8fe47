"""Reading streams up to a point, for as long as a test has patience."""

from __future__ import annotations

import anyio

from aiocpg import Event, Message, Stream
from support.handles import PATIENCE


async def until_message(stream: Stream[Event], data: bytes) -> list[Event]:
    """Return all events up to this message, with it."""
    events: list[Event] = []
    with anyio.fail_after(PATIENCE):
        async for event in stream:
            events.append(event)
            if isinstance(event, Message) and event.data == data:
                return events
    raise AssertionError("the stream ended")
