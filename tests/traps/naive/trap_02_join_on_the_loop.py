"""Trap 2: join on the loop's thread, with a timeout around it that cannot fire."""

from __future__ import annotations

import asyncio

from talk import Ears, say

from aiocpg import lowlevel


async def main() -> None:
    ears = Ears()
    handle = lowlevel.initialize()
    say("connected")
    await ears.told()
    async with asyncio.timeout(0.1):
        say("joining")
        lowlevel.join(handle, "group")
        await asyncio.sleep(0)


asyncio.run(main())
