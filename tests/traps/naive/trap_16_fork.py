"""Trap 16: forks, and the child either tidies up what it inherited, or outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

from talk import Ears, say
from wrapper import NaiveGroup

from aiocpg import StatusError, lowlevel


async def main() -> None:
    ears = Ears()
    group = NaiveGroup("group")
    await group.events.get()
    pid = os.fork()
    if pid == 0:
        if sys.argv[1] == "tidy":
            lowlevel.finalize(group.handle)
            os._exit(0)
        signal.pause()
    say("forked", pid)
    if sys.argv[1] == "tidy":
        os.waitpid(pid, 0)  # noqa: ASYNC222 - there is nothing else to do
        try:
            lowlevel.local_get(group.handle)
        except StatusError as error:
            say("status", error.name)
    await ears.told()
    os._exit(0)


asyncio.run(main())
