"""Trap 12: tells how many messages arrived at the most between two turns of the loop."""

from __future__ import annotations

import asyncio

from talk import Ears, say

import aiocpg


async def main() -> None:
    Ears()
    async with aiocpg.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        say("member")
        longest = 0
        last = False
        while not last:
            batch = await messages.receive_batch()
            longest = max(longest, len(batch))
            last = batch[-1].data == b"last"
        say("longest", longest)


asyncio.run(main())
