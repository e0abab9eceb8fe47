"""Trap 12: dispatches all there is, in one go. Tells how much the longest go took."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import lowlevel
from aiocpg.lowlevel import Delivery

NO_LIMIT = 1 << 31


class Greedy(NaiveGroup):
    def dispatch(self) -> None:
        for event in lowlevel.dispatch(self.handle, lowlevel.DispatchFlag.ALL, max_events=NO_LIMIT, max_bytes=NO_LIMIT):
            self.events.put_nowait(event)


async def main() -> None:
    Ears()
    group = Greedy("group")
    await group.events.get()
    say("member")
    longest = 0
    last = False
    while not last:
        events = [await group.events.get()]
        while not group.events.empty():
            events.append(group.events.get_nowait())
        longest = max(longest, len(events))
        last = any(isinstance(event, Delivery) and event.data == b"last" for event in events)
    say("longest", longest)


asyncio.run(main())
