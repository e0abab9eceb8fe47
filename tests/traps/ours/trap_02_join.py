"""Trap 2: join, and connect anew, with timeouts at a daemon that does not answer; then the program ends."""

from __future__ import annotations

import asyncio

from talk import Ears, say

import aiocpg


async def main() -> None:
    ears = Ears()
    cpg = await aiocpg.connect(close_timeout=0.1)
    say("connected")
    await ears.told()
    try:
        async with asyncio.timeout(0.1):
            await cpg.join("group")
    except TimeoutError:
        say("timeout")
    try:
        await aiocpg.connect(connect_timeout=0.1)
    except aiocpg.EngineUnavailableError as error:
        say("unavailable", error.transient)
    await cpg.aclose()


asyncio.run(main())
