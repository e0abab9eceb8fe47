"""
Ask everybody in a group and hear from all of them, or of their end: ``python examples/ask.py [QUESTION]``.

Without a question the program stays and answers those of others.
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import os
import sys
from contextlib import suppress
from uuid import uuid4

import aiocpg

GROUP = "questions"
MAX_TEXT, MAX_TOKEN = 2**16, 40
"""Characters. A question comes back in its answer, which has to fit into a message."""

log = logging.getLogger("ask")


async def ask(group: aiocpg.Group, question: str) -> tuple[dict[aiocpg.Address, str], set[aiocpg.Address]]:
    """
    Return the answers by member, and the members that left before they answered.

    Who is asked is decided by the view the question stands in, the same for everybody. The answers and the departures
    come in the same order, so nobody who died is waited for. Somebody who is stopped is: use a timeout.
    """
    events = group.events()  # from before the question on
    token = uuid4().hex
    await group.mcast(json.dumps(["question", question, token]).encode())
    answers: dict[aiocpg.Address, str] = {}
    gone: set[aiocpg.Address] = set()
    awaited: set[aiocpg.Address] | None = None
    async for event in events:
        match event:
            case aiocpg.Message(sender=sender, data=data, view=view):
                match opened(sender, data):
                    case "question", _, its if its == token:
                        awaited = {*view.members} - {group.me}
                    case "answer", answer, its if its == token and awaited and sender in awaited:
                        answers[sender] = answer
                        awaited.discard(sender)
            case aiocpg.View(left=left) if awaited:
                gone |= awaited & left.keys()
                awaited -= gone
        if awaited is not None and not awaited:
            break
    return answers, gone


async def serve(group: aiocpg.Group) -> None:
    """Answer every question."""
    async for message in group.messages():
        match opened(message.sender, message.data):
            case "question", question, token:
                print(f"{message.sender} asks: {question}", flush=True)
                answer = f"{question}? I am process {os.getpid()}"
                await group.mcast(json.dumps(["answer", answer, token]).encode())


def opened(sender: aiocpg.Address, data: bytes) -> tuple[str, str, str] | None:
    """Kind, text and token; None where it is none of these: any program may be in the group, and send what it likes."""
    with suppress(ValueError, RecursionError):  # no UTF-8, no JSON, nested without end
        match json.loads(data):
            case ["question" | "answer" as kind, str(text), str(token)] if len(token) <= MAX_TOKEN:
                if len(text.encode()) <= MAX_TEXT:  # which raises ValueError where JSON has halves of characters
                    return kind, text, token
    warn_of(sender)
    return None


@functools.lru_cache(maxsize=128)  # once for each sender, as long as not too many others have come between
def warn_of(sender: aiocpg.Address) -> None:
    """Log that somebody else is in the group."""
    log.warning("%s has sent what is no question or answer of ours; that is passed over", sender)


async def main(question: str | None) -> None:
    """Ask, or answer."""
    async with aiocpg.connect() as cpg, cpg.join(GROUP) as group:
        if question is None:
            await serve(group)
            return
        async with asyncio.timeout(60):
            answers, gone = await ask(group, question)
        for who, answer in answers.items():
            print(f"{who} answers: {answer}")
        for who in gone:
            print(f"{who} is gone")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1] if sys.argv[1:] else None))
