"""
Jobs that only the leader does, whoever that is: ``python examples/leader.py``, a job per line.

Every member knows the jobs that are open; the first of the view leads and does them. A leader that dies in the middle
of a job leaves it open, and the next one does it again: a job is done at least once. In a partition every side has a
leader; who must not have two needs a quorum.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from uuid import uuid4

import aiocpg

MAX_JOB, MAX_TOKEN = 2**16, 40
"""Bytes. What has come is told to others again, and has to fit into a message then, too."""

log = logging.getLogger("leader")


class Member:
    """One worker. What it does follows from what it has read, and from nothing newer."""

    def __init__(self, group: aiocpg.Group) -> None:
        self.group = group
        self.open: dict[str, str] = {}
        self.done: set[str] = set()  # grows with every job; a program for longer than a demonstration forgets old ones
        self.leads: bool | None = None

    async def run(self) -> None:
        """Follow the group."""
        async for event in self.group:
            match event:
                case aiocpg.View():
                    await self.change(event)
                case aiocpg.Message(sender=sender, data=data):
                    if (said := opened(data)) is not None:
                        await self.hear(*said)
                    else:
                        warn_of(sender)

    async def change(self, view: aiocpg.View) -> None:
        """Tell newcomers what is open; take over what a leader left behind."""
        if view.joined and view.stayed[:1] == (self.group.me,):
            # One of those who were there before, on each side of a merge. A newcomer may lead, and must know.
            for token, job in self.open.items():
                await self.say("job", token, job)
        led, self.leads = self.leads, view.members[:1] == (self.group.me,)
        if self.leads != led:
            print("I lead" if self.leads else "I follow", flush=True)
        if self.leads:
            for token in list(self.open):
                await self.do(token)

    async def hear(self, kind: str, token: str, job: str) -> None:
        """Note a job that is to be done, or was."""
        if kind == "done":
            self.close(token)
        elif token not in self.done:
            self.open[token] = job
            if self.leads:
                await self.do(token)

    async def do(self, token: str) -> None:
        """Do a job and say so. For the others it is open until they read that."""
        job = self.open[token]
        print("doing", job, flush=True)
        self.close(token)
        await self.say("done", token, job)

    def close(self, token: str) -> None:
        """The job was done; who told newcomers of it may not have known yet."""
        self.open.pop(token, None)
        self.done.add(token)

    async def say(self, kind: str, token: str, job: str) -> None:
        """Send one message."""
        await self.group.mcast(json.dumps([kind, token, job]).encode())


def opened(data: bytes) -> tuple[str, str, str] | None:
    """What a member has said; None where it was none of us: any program may be in the group, and send what it likes."""
    with suppress(ValueError, RecursionError):  # no UTF-8, no JSON, nested without end
        match json.loads(data):
            case ["job" | "done" as kind, str(token), str(job)]:
                # encode() raises ValueError where JSON has halves of characters.
                if len(token.encode()) <= MAX_TOKEN and len(job.encode()) <= MAX_JOB:
                    return kind, token, job
    return None


@functools.lru_cache(maxsize=128)  # once for each sender, as long as not too many others have come between
def warn_of(sender: aiocpg.Address) -> None:
    """Log that somebody else is in the group."""
    log.warning("%s has sent what is no job of ours; that is passed over", sender)


async def main() -> None:
    """Take part until Ctrl-C, also when there are no more jobs to read."""
    # The one who reads also sends, and who leaves takes no more sends: so its task group stands inside and ends first.
    async with aiocpg.connect() as cpg, cpg.join("led") as group, asyncio.TaskGroup() as tasks:
        member = Member(group)
        tasks.create_task(member.run())
        async for line in stdin_lines():
            await member.say("job", uuid4().hex, line)


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
