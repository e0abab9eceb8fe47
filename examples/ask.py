"""
Ask everybody in a group and hear from all of them, or of their end: ``python examples/ask.py [QUESTION]``.

Without a question the program stays and answers those of others.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import suppress
from uuid import uuid4

import aiocpg

GROUP = "questions"


async def ask(group: aiocpg.Group, question: str) -> tuple[dict[aiocpg.Address, str], set[aiocpg.Address]]:
    """
    Return the answers by member, and the members that left before they answered.

    Who is asked is decided by the view the question stands in, the same for everybody. The answers and the departures
    come in the same order, so nobody who died is waited for. Somebody who is stopped is: use a timeout.
    """
    events = group.events()  # from before the question on
    token = uuid4().hex
    await group.mcast(json.dumps({"question": question, "token": token}).encode())
    answers: dict[aiocpg.Address, str] = {}
    gone: set[aiocpg.Address] = set()
    awaited: set[aiocpg.Address] | None = None
    async for event in events:
        match event:
            case aiocpg.Message(sender=sender, data=data, view=view):
                match json.loads(data):
                    case {"question": _, "token": its} if its == token:
                        awaited = {*view.members} - {group.me}
                    case {"answer": str(answer), "token": its} if its == token and awaited and sender in awaited:
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
        match json.loads(message.data):
            case {"question": str(question), "token": token}:
                print(f"{message.sender} asks: {question}", flush=True)
                answer = f"{question}? I am process {os.getpid()}"
                await group.mcast(json.dumps({"answer": answer, "token": token}).encode())


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
