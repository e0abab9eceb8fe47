"""
One message at a time, and the calls of our Python functions that each takes: ``python -m support.alone``.

In a process of its own: in pytest's a profile would see more than the program does.
"""

from __future__ import annotations

import sys
from types import FrameType

import anyio

import aiocpg

MESSAGES = 100


async def main() -> None:
    """Let some pass, count, and print how many calls it was for a message."""
    calls = 0

    def note(frame: FrameType, what: str, argument: object) -> None:
        nonlocal calls
        calls += what == "call" and str(frame.f_globals["__name__"]).startswith("aiocpg.")

    async with aiocpg.connect() as cpg, cpg.join("alone") as group:
        messages = group.messages()
        for number in range(2 * MESSAGES):
            if number == MESSAGES:
                sys.setprofile(note)
            await group.mcast(b"x")
            await anext(messages)
        sys.setprofile(None)
    print(calls / MESSAGES)


if __name__ == "__main__":
    anyio.run(main)
