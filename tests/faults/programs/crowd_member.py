"""
One of a crowd: sends its pid and a number now and then, and writes each event as a line.

Arguments: URL, group, file. It leaves when the group says "end".
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

import aiocpg


async def talk(group: aiocpg.Group) -> None:
    """Send, a few at a time."""
    number = 0
    while True:
        await group.mcast_many([f"{os.getpid()} {number + more}".encode() for more in range(5)])
        number += 5
        await asyncio.sleep(random.random() * 0.2)


def line(event: aiocpg.Event) -> str:
    """What all members must have alike."""
    match event:
        case aiocpg.Message(sender=sender, data=data):
            return f"{sender} {data.decode()}"
        case aiocpg.ConfigurationChange(members=members, joined=joined, left=left):
            changes = [f"+{who} {why.name}" for who, why in joined] + [f"-{who} {why.name}" for who, why in left]
            return f"{' '.join(changes)} of {len(members)}"
    return ""


async def main(url: str, name: str, path: Path) -> None:
    """Be one of the crowd."""
    with path.open("w", buffering=1) as log:
        async with asyncio.TaskGroup() as tasks, aiocpg.connect(url) as cpg, cpg.join(name) as group:
            talking = tasks.create_task(talk(group))
            async for event in group:
                if text := line(event):
                    log.write(text + "\n")
                if isinstance(event, aiocpg.Message) and event.data == b"end":
                    talking.cancel()
                    break


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
