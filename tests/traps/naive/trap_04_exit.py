"""Trap 4: sends, is told OK, and ends."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    say("member")
    await ears.told()
    for number in range(50):
        group.mcast(b"%d" % number)
    say("sent")


asyncio.run(main())
