"""Trap 3: a handle used on after its leave. Joins the group again, or another, whichever it is told."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import ConfigurationChange, StatusError, lowlevel
from aiocpg.lowlevel import Delivery


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    group.leave()
    departure = await group.events.get()
    assert isinstance(departure, ConfigurationChange)
    say("left", *departure.left)
    while not isinstance(event := await group.events.get(), Delivery):
        pass
    say("got", event.data.decode())
    name = await ears.told()
    try:
        lowlevel.join(group.handle, name)
    except StatusError as error:
        say("status", error.name)


asyncio.run(main())
