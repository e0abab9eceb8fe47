"""Trap 19: connects in the loop of a thread with a small stack, and uses the typed call on one."""

from __future__ import annotations

import asyncio
import threading

from talk import say

import aiocpg
from aiocpg import lowlevel


async def connect() -> None:
    try:
        await aiocpg.connect()
    except aiocpg.CPGError as error:
        say("loop", error)


def dispatch(handle: lowlevel.Handle) -> None:
    try:
        lowlevel.dispatch(handle, lowlevel.DispatchFlag.ALL)
    except aiocpg.UsageError as error:
        say("call", error)


threading.stack_size(256 * 1024)
for target, arguments in ((lambda: asyncio.run(connect()), ()), (dispatch, (lowlevel.initialize(),))):
    thread = threading.Thread(target=target, args=arguments)
    thread.start()
    thread.join()
