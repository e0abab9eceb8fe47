"""Trap 1: mcast on the loop's thread, without a look at the descriptor."""

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
    for number in range(1000):
        group.mcast(b"%d" % number)
        say("sent", number + 1)
        await asyncio.sleep(0)
    say("done")


asyncio.run(main())
