"""
Watch who is in a group, who comes and goes, and why: ``python examples/watch.py GROUP``.

Watching a group means being a member of it: the others see the watcher come and go as well.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import aiocpg


async def main(name: str) -> None:
    """Print each view. What is said in the group is not even kept."""
    async with aiocpg.connect() as cpg, cpg.join(name) as group:
        async for view in group.views():
            changes = [f"+{who} {reason.name}" for who, reason in view.joined.items()]
            changes += [f"-{who} {reason.name}" for who, reason in view.left.items()]
            print(f"ring {view.ring_id}:", *view.members, f"({', '.join(changes)})", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else sys.exit("usage: watch.py GROUP")))
