"""
What a page of ``web_service.py`` shows, in a terminal: ``python web_listener.py http://127.0.0.1:8081``, Ctrl-C to end.

It follows one instance for as long as that is there; the page itself also comes back to one that was restarted.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

import aiohttp


async def main(url: str) -> None:
    """Print what the instance tells, until it closes."""
    async with aiohttp.ClientSession(url) as session, session.ws_connect("/events") as socket:
        async for word in socket:
            told = word.json()
            if line := shown(told):
                print(line, flush=True)


def shown(told: dict[str, Any]) -> str:
    """One word of the instance as a line; what a page does not show is empty."""
    match told:
        case {"type": "hello", "view": {"members": members}, "me": me}:
            return f"{me} with members: {' '.join(members)}"
        case {"type": "view", "members": members}:
            return f"members: {' '.join(members)}"
        case {"type": "message", "sender": sender}:
            return f"{sender}: {told.get('payload', '(no text)')}"
        case {"type": "gap" | "away", "reason": reason}:
            return f"{told['type']}: {reason}"
    return ""


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
