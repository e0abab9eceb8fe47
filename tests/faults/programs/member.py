"""A member that is there and reads until it is told to leave by a line, or killed. Argument: the group."""

from __future__ import annotations

import asyncio
import sys

import aiocpg


async def read(group: aiocpg.Group) -> None:
    """Read and forget."""
    async for _ in group:
        pass


async def main(name: str) -> None:
    """Be there."""
    async with aiocpg.connect() as cpg, cpg.join(name) as group:
        reader = asyncio.create_task(read(group))
        print("joined", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
        await group.leave()
        await reader
        print("left", flush=True)


asyncio.run(main(sys.argv[1]))
