"""Trap 16: forks; the child tries everything, and then outlives its parent."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

from talk import Ears, say

import aiocpg


def step(awaitable: Any) -> None:
    """Run an awaitable that must end without waiting: the child's loop is a copy of its parent's."""
    try:
        awaitable.__await__().send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def in_child(cpg: aiocpg.Connection, group: aiocpg.Group) -> None:
    refused = 0
    for use in (lambda: group.mcast(b"no"), lambda: cpg.members("group"), lambda: anext(aiter(group))):
        try:
            step(use())
        except aiocpg.ForkedError:
            refused += 1
    step(group.leave())
    step(cpg.aclose())
    say("refused", refused)
    signal.pause()


async def main() -> None:
    ears = Ears()
    cpg = await aiocpg.connect()
    group = await cpg.join("group")
    hears, speaks = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(hears, 1)  # until the parent has had its say
        in_child(cpg, group)
    say("forked", pid)
    os.write(speaks, b".")
    await ears.told()
    await group.mcast_confirmed(b"untouched")
    say("confirmed")
    await ears.told()
    os._exit(0)


asyncio.run(main())
