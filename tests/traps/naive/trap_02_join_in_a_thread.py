"""Trap 2: join in a worker thread of the loop. The timeout fires, but the thread keeps the program from ending."""

from __future__ import annotations

import asyncio

from talk import Ears, say

from aiocpg import lowlevel


async def main() -> None:
    ears = Ears()
    handle = lowlevel.initialize()
    say("connected")
    await ears.told()
    try:
        async with asyncio.timeout(0.1):
            await asyncio.to_thread(lowlevel.join, handle, "group")
    except TimeoutError:
        say("timeout")


asyncio.run(main())
