"""Trap 18: two parts of one program join one group; and somebody else's second life is taken for the first."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError, lowlevel


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    try:
        NaiveGroup("group")
    except StatusError as error:
        say("status", error.name)
    known = set(lowlevel.membership_get(group.handle, "group"))
    say("known", len(known))
    await ears.told()
    say("new", *(set(lowlevel.membership_get(group.handle, "group")) - known))


asyncio.run(main())
