"""Trap 4: sends before its join and after its leave, and is told OK."""

from __future__ import annotations

import asyncio

from talk import say
from wrapper import NaiveGroup

from aiocpg import ConfigurationChange, Guarantee, lowlevel


async def main() -> None:
    early = lowlevel.initialize()
    lowlevel.mcast_joined(early, Guarantee.AGREED, b"before")
    say("sent")
    group = NaiveGroup("group")
    await group.events.get()
    group.mcast(b"between")
    group.leave()
    group.mcast(b"after")
    say("sent")
    while not (isinstance(event := await group.events.get(), ConfigurationChange) and event.left):
        pass
    lowlevel.finalize(early)
    lowlevel.finalize(group.handle)


asyncio.run(main())
