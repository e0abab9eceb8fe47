"""
A member that does not read: it joins a group and says "ready", and reads when told "read".

Then it writes a line of JSON: what it held, what it lost, what came after, and the memory this process took.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import aiocpg


def memory(name: str) -> int:
    """Return a figure of this process's status in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(f"{name}:"))


async def read(group: aiocpg.Group, events: aiocpg.Stream[aiocpg.Event]) -> dict[str, Any]:
    """Read to the message that the reader itself sends now; everything sent before stands before it."""
    await group.mcast_confirmed(b"my own")
    found: dict[str, Any] = {"rss": memory("VmRSS")}
    held: list[aiocpg.Event] = []
    try:
        while True:
            held += await events.receive_batch()
    except aiocpg.SlowConsumerError as error:
        found |= {"lost": error.lost, "limit": error.limit}
    after = await events.receive_batch()
    messages = [event for event in held if isinstance(event, aiocpg.Message)]
    positions = [message.position for message in messages]
    found |= {"held": len(held), "in order": positions == list(range(1, len(messages) + 1))}
    found |= {"after": [type(event).__name__ for event in after], "members": len(after[-1].members)}
    await group.mcast(b"to be read")
    last = await anext(events)
    return found | {"last": last.data.decode(), "position": last.position, "peak": memory("VmHWM")}


async def main() -> None:
    """Do what the top of the file says."""
    async with aiocpg.connect() as cpg, cpg.join(b"flood") as group:
        events = group.events()
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        print(json.dumps(await read(group, events)), flush=True)


asyncio.run(main())
