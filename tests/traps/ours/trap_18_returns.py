"""Trap 18: a member that leaves when told, and comes back as the same process."""

from __future__ import annotations

import asyncio

from talk import Ears, say

import aiocpg


async def main() -> None:
    ears = Ears()
    async with aiocpg.connect() as cpg:
        for _ in range(2):
            async with cpg.join("group"):
                say("member")
                await ears.told()


asyncio.run(main())
