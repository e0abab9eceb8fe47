"""The member behind the pages: reads the group into the board, answers, and asks when it leads."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress

from aiohttp import web

import aiocpg
from aiocpg.aiohttp import group_key, readiness

from .board import Board
from .listing import Frame
from .sayings import Saying, encoded

PAUSE = 1
"""Seconds between two looks whether there is something to ask."""


class Instance:
    """One member. What it shows follows from what it has read, and from nothing newer."""

    def __init__(self, board: Board, group: str) -> None:
        self._board = board
        self._group = group_key(group)
        self._replies: asyncio.Queue[Saying] = asyncio.Queue()

    async def frames(self, group: aiocpg.Group) -> AsyncIterator[Frame]:
        """Read the group, and yield what the pages are to be told."""
        async for event in group.events():
            outcome = self._board.feed(event, group.me, time.time())
            for saying in outcome.replies:
                # Not sent here: while the daemon is away a send waits, and the reader has to see it come back.
                self._replies.put_nowait(saying)
            for frame in outcome.frames:
                yield frame

    def begin(self) -> str:
        """Return what a page that opens now begins with."""
        return json.dumps(self._board.begin(time.time()))

    async def talking(self, app: web.Application) -> AsyncIterator[None]:
        """Answer and ask while the application runs."""
        group = app[self._group]
        tasks = [asyncio.create_task(self._reply(group)), asyncio.create_task(self._ask(group))]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    async def ready(self, request: web.Request) -> web.Response:
        """
        Answer 200 where requests should come here, and 503 otherwise.

        An instance that has not got the list yet is not ready: who restarts the instances one by one, each when the one
        before is ready, would lose it.
        """
        if not self._board.is_caught_up:
            raise web.HTTPServiceUnavailable(text="asking the others for the list")
        return await readiness(request)

    async def _reply(self, group: aiocpg.Group) -> None:
        while True:
            await _say(group, await self._replies.get())

    async def _ask(self, group: aiocpg.Group) -> None:
        while True:
            await asyncio.sleep(PAUSE)
            for question in self._board.questions():
                await _say(group, question)


async def _say(group: aiocpg.Group, saying: Saying) -> None:
    # What the loss of the daemon meets on its way is not said again: a view follows, and what is to be said there.
    with suppress(aiocpg.ConnectionLostError):
        await group.mcast(encoded(saying))


def encode(frame: Frame, id_: str) -> str:
    """Return a frame as it goes to the pages. Where in the stream it stands they need not know: they begin anew."""
    return json.dumps(frame)
