"""
A journal that says of each entry who has it: ``python examples/evs_journal.py``, an entry per line.

All that run it write one journal, in one order. An entry is acknowledged when SAFE says that every member has it, and
the answer names them. Where that takes longer than the deadline, the answer says that nobody knows yet, and the outcome
is told later. A newcomer has the entries from its coming on; ``counter.py`` shows how it could be given the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import logging
import sys
from contextlib import closing, suppress
from uuid import uuid4

import aiocpg
from aiocpg import Guarantee, evs

GROUP = "journal"

log = logging.getLogger("evs_journal")


async def keep(handle: evs.Evs) -> None:
    """Keep the journal: print it, each entry once."""
    seen: set[str] = set()
    async for event in handle:
        match event:
            case evs.Delivery(sender=sender, data=data):
                id_, text = opened(data)
                if not id_:
                    warn_of(sender)
                elif id_ not in seen:  # whoever is told "unknown" may send the same again
                    seen.add(id_)
                    print("entry", text, flush=True)
            case evs.RegularConfiguration(members=members):
                print("members:", *members, flush=True)
            case evs.Stalled(laggards=laggards):
                print("waiting for", *laggards, flush=True)
            case evs.Resumed():
                print("going on", flush=True)
            case evs.Evicted() | evs.Resync():
                print("entries were missed here", flush=True)


def opened(data: bytes) -> tuple[str, str]:
    """Id and text of an entry; empty where it is none: any program may be in the group, and send what it likes."""
    with suppress(ValueError, RecursionError):  # no UTF-8, no JSON, nested without end
        match json.loads(data):
            case {"id": str(id_), "text": str(text)}:
                text.encode()  # raises ValueError where JSON has halves of characters, which cannot be printed
                return id_, text
    return "", ""


@functools.lru_cache(maxsize=128)  # once for each sender, as long as not too many others have come between
def warn_of(sender: aiocpg.Address) -> None:
    """Log that somebody else is in the group."""
    log.warning("%s has sent what is no entry of ours; that is passed over", sender)


class Writer:
    """
    Writes entries.

    Args:
        handle: Through this.
        copies: Members that must have an entry before it counts as stored.
        deadline: Seconds until an answer.
    """

    def __init__(self, handle: evs.Evs, copies: int, deadline: float) -> None:
        self._handle = handle
        self._copies = copies
        self._deadline = deadline

    async def write(self, text: str) -> None:
        """Write one entry, and answer."""
        data = json.dumps({"id": uuid4().hex, "text": text}).encode()
        try:
            async with asyncio.timeout(self._deadline):
                ticket = await self._handle.mcast_joined(data, guarantee=Guarantee.SAFE)
        except TimeoutError:
            answer("refused", text, "too much is waiting; nothing was sent")
            return
        try:
            async with asyncio.timeout(self._deadline):
                await self._told(text, ticket)
        except TimeoutError:
            answer("unknown", text, "not with everybody yet, and it cannot be taken back")
            await self._told(text, ticket)

    async def _told(self, text: str, ticket: evs.Ticket) -> None:
        try:
            receipt = await ticket.delivered()
        except aiocpg.MessageLostError:
            answer("lost", text, "nobody has it: send it again")
        except aiocpg.ConnectionLostError:
            answer("unknown", text, "the connection is lost")
        else:
            # In a transitional configuration, too, its members are those that have the entry.
            members = receipt.configuration.members
            word = "stored" if len(members) >= self._copies else "too few"
            answer(word, text, " ".join(map(str, members)))


def answer(word: str, text: str, why: str) -> None:
    """What a client would be told."""
    print(f"{word} {text} ({why})", flush=True)


async def main(url: str | None, copies: int, deadline: float) -> None:
    """Write what comes from the standard input, and keep what all write."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    with closing(transport):
        # From the inside out: every entry has its outcome, the handle is closed, the reader reads to its end.
        async with asyncio.TaskGroup() as reading, evs.connect(url, domain="journal", groups=[GROUP]) as handle:
            reading.create_task(keep(handle))
            writer = Writer(handle, copies, deadline)
            async with asyncio.TaskGroup() as writing:
                async for line in lines:
                    writing.create_task(writer.write(line.decode().strip()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A journal that says of each entry who has it.")
    parser.add_argument("--url", help="which engine; $AIOCPG_URL or corosync:// unless given")
    parser.add_argument("--copies", type=int, default=1, help="members that must have an entry for it to be stored")
    parser.add_argument("--deadline", type=float, default=2, help="seconds until an answer")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(main(arguments.url, arguments.copies, arguments.deadline))
