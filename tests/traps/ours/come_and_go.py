"""Joins the group and leaves it, for ever."""

from __future__ import annotations

import asyncio
from itertools import count

from talk import say

import aiocpg


async def main() -> None:
    async with aiocpg.connect() as cpg:
        for number in count(1):
            async with cpg.join("group"):
                say("round", number)


asyncio.run(main())
