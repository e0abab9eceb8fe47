"""
A register of values that takes no writes in a minority: ``python examples/register.py``.

A line ``KEY VALUE`` writes, a line ``KEY`` reads. In a partition at most one side is quorate, so at most one side takes
writes, and the others have nothing that would have to be undone when it heals. What they missed they would have to ask
for; ``counter.py`` shows how that is done.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress

import aiocpg

log = logging.getLogger("register")


class Register:
    """One replica."""

    def __init__(self, group: aiocpg.Group, quorum: aiocpg.QuorumWatch) -> None:
        self.group = group
        self.quorum = quorum
        self.values: dict[str, str] = {}

    async def follow(self) -> None:
        """Apply the writes, in their order."""
        async for event in self.group:
            if isinstance(event, aiocpg.Message):
                if (write := opened(event.data)) is not None:
                    key, value = write
                    self.values[key] = value
                    print(f"{key} is {value}", flush=True)
                else:
                    warn_of(event.sender)

    async def report(self) -> None:
        """Say when writes are taken, and when not."""
        async for state in self.quorum:
            print("writes are taken" if state.is_quorate else f"writes are refused: {why(state)}", flush=True)

    async def handle(self, line: str) -> None:
        """Answer a line of a client."""
        key, _, value = line.partition(" ")
        if not value:
            print(f"{key} is {self.values.get(key, 'not there')}", flush=True)
        elif self.quorum.state.is_quorate:
            await self.group.mcast(line.encode())
        else:
            print(f"refused: {line}", flush=True)


def opened(data: bytes) -> tuple[str, str] | None:
    """Key and value of a write; None where it is none: any program may be in the group, and send what it likes."""
    with suppress(UnicodeDecodeError):
        key, _, value = data.decode().partition(" ")
        if key and value:
            return key, value
    return None


@functools.lru_cache(maxsize=128)  # once for each sender, as long as not too many others have come between
def warn_of(sender: aiocpg.Address) -> None:
    """Log that somebody else is in the group."""
    log.warning("%s has sent what is no write of ours; that is passed over", sender)


def why(state: aiocpg.QuorumState) -> str:
    """What a client is told, and an operator needs."""
    match state:
        case aiocpg.Quorum(nodes=nodes):
            return f"there are only nodes {' '.join(map(str, nodes))}"
        case aiocpg.NoQuorumProvider(reason=reason, cure=cure):
            return f"{reason}; {cure}"
        case aiocpg.QuorumUnknown(reason=reason):
            return reason


async def main() -> None:
    """Take part until Ctrl-C."""
    async with (
        aiocpg.connect(reconnect=True) as cpg,
        cpg.join("register") as group,
        cpg.quorum() as quorum,
        asyncio.TaskGroup() as tasks,
    ):
        register = Register(group, quorum)
        tasks.create_task(register.follow())
        tasks.create_task(register.report())
        async for line in stdin_lines():
            await register.handle(line)


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
        asyncio.run(main())
