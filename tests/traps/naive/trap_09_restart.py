"""Trap 9: ends without a leave and joins at once again, with a handle that stands ready, until that is refused."""

from __future__ import annotations

import asyncio

from talk import say
from wrapper import NaiveGroup

from aiocpg import StatusError, lowlevel

TIMES = 200


async def main() -> None:
    loop = asyncio.get_running_loop()
    try:
        for _ in range(TIMES):
            ready = lowlevel.initialize()
            group = NaiveGroup("group")
            await group.events.get()
            loop.remove_reader(group.fd)
            lowlevel.finalize(group.handle)
            lowlevel.join(ready, b"group")
            lowlevel.finalize(ready)
    except StatusError as error:
        say("status", error.name)


asyncio.run(main())
