"""Trap 7: tries a congested send again, a fixed number of times, or for ever."""

from __future__ import annotations

import asyncio
import sys
from itertools import count

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError
from aiocpg.lowlevel import Status

TRIES = {"hundred": 100, "endless": None}


async def send(group: NaiveGroup, data: bytes, tries: int | None) -> None:
    for attempt in count(1):
        try:
            group.mcast(data)
            return
        except StatusError as error:
            if error.code != Status.TRY_AGAIN or attempt == tries:
                raise
            say("again")
            await asyncio.sleep(0.001)


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    say("member")
    await ears.told()
    asyncio.get_running_loop().remove_reader(group.fd)  # so that this program shows one trap at a time
    try:
        for _ in range(200):
            await send(group, bytes(60_000), TRIES[sys.argv[1]])
        say("sent")
    except StatusError as error:
        say("status", error.name)


asyncio.run(main())
