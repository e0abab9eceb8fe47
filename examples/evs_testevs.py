"""
Join three groups, send to all, then to the second alone, count what comes: ``python examples/evs_testevs.py``.

What Corosync's own ``test/testevs`` did with ``corosync/evs.h``. Start it several times at once, and each counts the
messages of all.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from contextlib import suppress

from aiocpg import Address, evs

GROUPS = [evs.EvsGroup("key1"), evs.EvsGroup("key2"), evs.EvsGroup("key3")]
SIZE = 2000
"""Bytes of a message."""


async def main(url: str | None, number: int) -> None:
    """Join, send, count."""
    async with evs.connect(url, domain="testevs") as handle:
        await handle.join(*GROUPS)
        for _ in range(number):
            await handle.mcast_joined(bytes(SIZE))
        print("sent", number, "to", *GROUPS, flush=True)
        for _ in range(number):
            await handle.mcast_groups(GROUPS[1:2], bytes(SIZE))
        print("sent", number, "to", GROUPS[1], flush=True)
        for (sender, groups), count in (await counted(handle, 2 * number)).items():
            print("read", count, "to", *groups, "from", "me" if sender == handle.me else sender)


async def counted(handle: evs.Evs, own: int) -> Counter[tuple[Address, tuple[evs.EvsGroup, ...]]]:
    """Read until so many of our own have come; return how many of whose, to which groups."""
    counts: Counter[tuple[Address, tuple[evs.EvsGroup, ...]]] = Counter()
    async for event in handle:
        match event:
            case evs.RegularConfiguration(nodes=nodes, members=members):
                print("nodes:", *nodes, "members:", *members, flush=True)
            case evs.Delivery(sender=sender, groups=groups):
                # A message comes once, in however many of our groups it is.
                counts[sender, groups] += 1
                own -= sender == handle.me
                if not own:
                    break
    return counts


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Join three groups, send to them, count what comes.")
    parser.add_argument("--url", help="which engine; $AIOCPG_URL or corosync:// unless given")
    parser.add_argument("--number", type=int, default=500, help="messages to all groups, and to the second")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(main(arguments.url, arguments.number))
