"""The first steps: join a group, say hello, and print what happens in it until Ctrl-C. ``python examples/hello.py``."""

import asyncio
from contextlib import suppress

import aiocpg


async def main() -> None:
    """Join, greet, listen."""
    async with aiocpg.connect() as cpg, cpg.join("hello") as group:
        await group.mcast(b"hello")
        async for event in group:
            match event:
                case aiocpg.View(members=members, left=left):
                    print("members:", *members, "gone:", *left, flush=True)
                case aiocpg.Message(sender=who, data=data):
                    print(who, "says", data.decode(errors="replace"), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
