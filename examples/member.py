"""
A member of a group: ``python examples/member.py NAME``. It ends by itself once another member has come and gone.

Three of them, ``alice``, ``bob`` and ``carol``, are the cast of ``demo.py``. Each event goes to standard output as a
line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping

import aiocpg

NAMES = ("alice", "bob", "carol")


async def member(name: str) -> None:
    """Talk while all three are there; when carol is gone bob leaves, and after bob alice."""
    # The group stands inside the task group: it is left first, and then nobody has anything to talk to any more.
    async with asyncio.TaskGroup() as tasks, aiocpg.connect() as cpg, cpg.join("demo") as group:
        async for event in group:
            report(event)
            match event:
                case aiocpg.View(members=members) if len(members) == len(NAMES):
                    tasks.create_task(talk(group, name))
                case aiocpg.View(members=members, left=left) if left and name == NAMES[len(members) - 1]:
                    tasks.create_task(depart(group, name))


async def talk(group: aiocpg.Group, name: str) -> None:
    """Say something now and then, as long as nobody is missing."""
    count = 0
    while len(group.members) == len(NAMES):
        count += 1
        await group.mcast(f"{name} says {count}".encode())
        await asyncio.sleep(0.15)


async def depart(group: aiocpg.Group, name: str) -> None:
    """Take leave in words and in deed. What was sent before stands before the leave, for everybody."""
    await group.mcast(f"goodbye from {name}".encode())
    await group.leave()


def report(event: aiocpg.Event) -> None:
    """Write an event for whoever watches."""
    match event:
        case aiocpg.Message(sender=sender, data=data, position=position):
            text = data.decode(errors="replace")  # any program may be in the group, and send what it likes
            print(json.dumps({"message": text, "sender": str(sender), "position": position}), flush=True)
        case aiocpg.View(members=members, joined=joined, left=left):
            came, went = reasons(joined), reasons(left)
            print(json.dumps({"members": [*map(str, members)], "joined": came, "left": went}), flush=True)


def reasons(changes: Mapping[aiocpg.Address, aiocpg.Reason]) -> dict[str, str]:
    """Return who came or went and why, in words."""
    return {str(address): reason.name for address, reason in changes.items()}


if __name__ == "__main__":
    asyncio.run(member(sys.argv[1]))
