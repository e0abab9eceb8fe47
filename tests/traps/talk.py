"""How the child programs talk to their test: a line out, a line in, and an answer to ``ping`` while the loop runs."""

from __future__ import annotations

import asyncio
import os
import sys


def say(*words: object) -> None:
    """Tell the test something, in one write: a forked child may speak at the same time."""
    os.write(sys.stdout.fileno(), f"{' '.join(map(str, words))}\n".encode())


def told() -> str:
    """Wait for a line from the test; for programs without a loop."""
    return sys.stdin.readline().strip()


class Ears:
    """Hears the test in the running loop: answers ``ping`` when the loop comes round; the rest is for :meth:`told`."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[str] = asyncio.Queue()
        self._rest = b""
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), self._hear)

    def _hear(self) -> None:
        heard = os.read(sys.stdin.fileno(), 4096)
        if not heard:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        *lines, self._rest = (self._rest + heard).split(b"\n")
        for line in lines:
            if line == b"ping":
                say("pong")
            else:
                self._lines.put_nowait(line.decode())

    async def told(self) -> str:
        """Wait for a line that is not ``ping``."""
        return await self._lines.get()
