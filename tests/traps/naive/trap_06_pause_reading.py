"""Trap 6: stops reading, to slow the senders down."""

from __future__ import annotations

import asyncio

from talk import Ears, say
from wrapper import NaiveGroup


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    asyncio.get_running_loop().remove_reader(group.fd)
    say("paused")
    await ears.told()


asyncio.run(main())
