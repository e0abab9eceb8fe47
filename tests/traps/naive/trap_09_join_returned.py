"""Trap 9: takes the return of join for membership, and its status for final."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError, lowlevel


async def main() -> None:
    ears = Ears()
    for word in ("members", "again"):
        await ears.told()
        try:
            group = NaiveGroup("group")
        except StatusError as error:
            say("status", error.name)
        else:
            say(word, len(lowlevel.membership_get(group.handle, "group")))


asyncio.run(main())
