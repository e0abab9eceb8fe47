"""Prints the page faults of a message that goes out and comes back: ``python -m support.page_faults SIZE``."""

from __future__ import annotations

import resource
import sys

import anyio

import aiocpg

MESSAGES = 2000


async def main(size: int) -> None:
    """Move messages until everything that is ever needed is there, and count with the next ones."""
    async with aiocpg.connect("corosync://") as cpg, cpg.join("faults") as group:
        await move(group, bytes(size))
        before = faults()
        await move(group, bytes(size))
        print((faults() - before) / MESSAGES)


async def move(group: aiocpg.Group, payload: bytes) -> None:
    """Send and receive."""
    async with group.messages() as stream, anyio.create_task_group() as tasks:
        tasks.start_soon(group.mcast_many, [payload] * MESSAGES)
        missing = MESSAGES
        while missing > 0:
            missing -= len(await stream.receive_batch())


def faults() -> int:
    """Page faults of this process so far that needed no disk."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
