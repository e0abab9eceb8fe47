"""
Send messages of random sizes with checksums and all guarantees, and check them: ``python examples/evs_verify.py``.

What Corosync's own ``test/evsverify`` did with ``corosync/evs.h``, and more: that the messages of each sender keep
their order, and that each of our own has an outcome. Start it on several nodes, and disturb them. Its status is 1 where
something was wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import struct
import sys
import time
from collections import Counter
from contextlib import suppress
from hashlib import sha256

import aiocpg
from aiocpg import Address, Guarantee, evs

SMALLEST, LARGEST = 100, 100_100
"""Bytes of a message."""

HEADER = struct.Struct("!QB32s")
"""Counts the sender's messages that overtake, and the others apart; the guarantee; the checksum of the rest."""


def message(number: int, guarantee: Guarantee) -> bytes:
    """A message of random size and content."""
    content = random.randbytes(random.randint(SMALLEST, LARGEST) - HEADER.size)
    return HEADER.pack(number, guarantee, sha256(content).digest()) + content


class Checker:
    """
    Checks deliveries, one after the other.

    Attributes:
        read: How many came, by guarantee.
        size: Bytes of them.
        wrong: What was wrong, in words.
    """

    def __init__(self) -> None:
        self._newest: dict[tuple[Address, bool], int] = {}
        self.read: Counter[Guarantee] = Counter()
        self.size = 0
        self.wrong: list[str] = []

    def take(self, delivery: evs.Delivery) -> None:
        """One more."""
        sender, data = delivery.sender, delivery.data
        self.read[delivery.guarantee] += 1
        self.size += len(data)
        number, guarantee, digest = HEADER.unpack_from(data.ljust(HEADER.size, b"\0"))
        if sha256(memoryview(data)[HEADER.size :]).digest() != digest:
            # Or of another program: then the number in it is none, and says nothing of those that follow.
            self.wrong.append(f"a message of {sender} is damaged")
            return
        if guarantee != delivery.guarantee:
            self.wrong.append(f"message {number} of {sender} was sent with guarantee {guarantee}")
        key = sender, guarantee == Guarantee.UNORDERED
        before = self._newest.get(key)
        if before is not None and number != before + 1:
            self.wrong.append(f"message {number} of {sender} came behind {before}")
        self._newest[key] = number

    def forget(self, members: tuple[Address, ...]) -> None:
        """These have come, or come back: what they sent elsewhere is not for us."""
        self._newest = {key: number for key, number in self._newest.items() if key[0] not in members}


async def check(handle: evs.Evs, checker: Checker) -> None:
    """Read to the end."""
    async for event in handle:
        match event:
            case evs.Delivery():
                checker.take(event)
            case evs.RegularConfiguration(members=members, joined=joined):
                print("members:", *members, flush=True)
                checker.forget(members if handle.me in joined else joined)
            case evs.Stalled(laggards=laggards):
                print("waiting for", *laggards, flush=True)
            case evs.Resumed(since=seconds):
                print(f"going on after {seconds:.1f} s", flush=True)
            case evs.Evicted() | evs.Resync():
                print("coming back as a newcomer:", event, flush=True)


async def send(handle: evs.Evs, seconds: float) -> list[evs.Ticket]:
    """Send for so long, as fast as it goes, and each guarantee at least once."""
    end = time.monotonic() + seconds
    sent: Counter[bool] = Counter()
    tickets: list[evs.Ticket] = []
    missing = list(Guarantee)
    while missing or time.monotonic() < end:
        guarantee = missing.pop() if missing else random.choice(list(Guarantee))
        kind = guarantee == Guarantee.UNORDERED
        sent[kind] += 1
        tickets.append(await handle.mcast_joined(message(sent[kind], guarantee), guarantee=guarantee))
    return tickets


async def outcomes(tickets: list[evs.Ticket]) -> Counter[str]:
    """Wait until the outcome of every message is known."""
    known: Counter[str] = Counter(regular=0)  # first, also where nobody else was there for the first message
    for ticket in tickets:
        try:
            receipt = await ticket.delivered()
            known["transitional" if receipt.transitional else "regular"] += 1
        except aiocpg.MessageLostError:
            known["lost"] += 1
    return known


async def main(url: str | None, seconds: float) -> int:
    """Send and check; return the status to end with."""
    checker = Checker()
    # From the inside out: each message has its outcome, the handle is closed, the reader reads to its end.
    async with asyncio.TaskGroup() as tasks, evs.connect(url, domain="evsverify") as handle:
        await handle.join("key1", "key2", "key3")
        await handle.leave("key1")
        tasks.create_task(check(handle, checker))
        tickets = await send(handle, seconds)
        known = await outcomes(tickets)
    print(f"sent {len(tickets)}, of them {', '.join(f'{count} {how}' for how, count in known.items())}")
    read = ", ".join(f"{checker.read[guarantee]} {guarantee.name}" for guarantee in Guarantee)
    print(f"read {checker.read.total()}, {checker.size / 1e6:.1f} MB: {read}")
    for what in checker.wrong[:10]:
        print("wrong:", what)
    print("wrong in all:", len(checker.wrong))
    return 1 if checker.wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Send messages with checksums, and check what comes.")
    parser.add_argument("--url", help="which engine; $AIOCPG_URL or corosync:// unless given")
    parser.add_argument("--seconds", type=float, default=10, help="how long to send")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main(arguments.url, arguments.seconds)))
