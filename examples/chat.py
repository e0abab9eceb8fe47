"""Talk between terminals, on one machine or several: ``python examples/chat.py NAME``, Ctrl-C or Ctrl-D to go."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress

import aiocpg


async def main(name: str) -> None:
    """Send what is typed, print what comes."""
    # The reader's task group stands outside: the group is left first, then the reader reads the rest and ends.
    async with asyncio.TaskGroup() as tasks, aiocpg.connect() as cpg, cpg.join("chat") as group:
        tasks.create_task(show(group))
        async for line in stdin_lines():
            await group.mcast(f"{name}: {line}".encode())


async def show(group: aiocpg.Group) -> None:
    """Print what everybody says, and who comes and goes, in the one order that everybody sees."""
    async for event in group:
        match event:
            case aiocpg.Message(data=data):
                print(data.decode(errors="replace"), flush=True)
            case aiocpg.View(members=members, joined=joined, left=left):
                came = [f"{who} came" for who in joined if who != group.me]
                went = [f"{who} went ({reason.name})" for who, reason in left.items()]
                print(f"* {len(members)} here", *came, *went, sep=", ", flush=True)


async def stdin_lines() -> AsyncIterator[str]:
    """Yield the lines of standard input without a thread, which would wait for one more line before it ends."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    with closing(transport):
        async for line in reader:
            yield line.decode().rstrip("\n")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else sys.exit("usage: chat.py NAME")))
