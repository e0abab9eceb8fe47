"""Trap 10: sends a message above max_atomic, in a thread, and believes what libcpg answers."""

from __future__ import annotations

import asyncio
import sys

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    say("member")
    await ears.told()
    asyncio.get_running_loop().remove_reader(group.fd)
    asyncio.get_running_loop().call_later(0.05, say, "sending")
    try:
        await asyncio.to_thread(group.mcast, bytes(int(sys.argv[1])))
        say("status", "CS_OK")
    except StatusError as error:
        say("status", error.name)


asyncio.run(main())
