"""Trap 17: two groups, and a leave of the first by the name of the second."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import ConfigurationChange, lowlevel


async def main() -> None:
    ears = Ears()
    first, second = NaiveGroup("first"), NaiveGroup("second")
    await first.events.get()
    await second.events.get()
    lowlevel.leave(first.handle, "second")
    evicted = await second.events.get()
    assert isinstance(evicted, ConfigurationChange)
    say("evicted", *evicted.members)
    await ears.told()


asyncio.run(main())
