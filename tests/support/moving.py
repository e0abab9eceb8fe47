"""Moves messages twice, and prints the page faults of one: ``python -m support.moving SIZE COUNT``."""

from __future__ import annotations

import resource
import sys

import anyio

import aiocpg


async def main(size: int, count: int) -> None:
    """Move messages until everything that is ever needed is there, and count with the next ones."""
    async with aiocpg.connect("corosync://") as cpg, cpg.join("moving") as group:
        await move(group, [bytes(size)] * count)
        before = faults()
        await move(group, [bytes(size)] * count)
        print((faults() - before) / count)


async def move(group: aiocpg.Group, messages: list[bytes]) -> None:
    """Send and receive."""
    async with group.messages() as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(group.mcast_many, messages)
        missing = len(messages)
        while missing > 0:
            missing -= len(await stream.receive_batch())


def faults() -> int:
    """Page faults of this process so far that needed no disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


if __name__ == "__main__":
    anyio.run(main, *map(int, sys.argv[1:]))
