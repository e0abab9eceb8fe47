"""
Members in a process of their own. Arguments: a file for each member, then its profile as JSON.

Commands come as lines of JSON: the number of the member, and the word. It ends when its standard input does.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TextIO

import anyio
import anyio.to_thread

import aiocpg
from faults.evs_walk.lines import Line
from faults.evs_walk.members import Member, Profile


async def main(arguments: list[str]) -> None:
    """Be these members."""
    members: dict[int, Member] = {}
    async with anyio.create_task_group() as tasks:
        for path, text in zip(arguments[::2], arguments[1::2], strict=True):
            profile = Profile(**json.loads(text))
            connect = partial(aiocpg.connect, "corosync://", connect_timeout=None, reconnect=profile.reconnect)
            file = Path(path).open("w", buffering=1)  # noqa: ASYNC230, SIM115 - lines, as long as the process lives
            members[profile.number] = Member(profile, connect, partial(_write, file))
            tasks.start_soon(members[profile.number].run)
        while text := await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            number, word = json.loads(text)
            members[number].command(word)
        tasks.cancel_scope.cancel()


def _write(file: TextIO, line: Line) -> None:
    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    anyio.run(main, sys.argv[1:])
