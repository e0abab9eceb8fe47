"""Trap 4: sends, leaves, and ends."""

from __future__ import annotations

import asyncio

from talk import Ears, say

import aiocpg


async def main() -> None:
    ears = Ears()
    async with aiocpg.connect(close_timeout=30) as cpg, cpg.join("group") as group:
        say("member")
        await ears.told()
        for number in range(50):
            await group.mcast(b"%d" % number)
        say("sent")


asyncio.run(main())
