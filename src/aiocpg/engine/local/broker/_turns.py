"""Whose frames are looked at next: everybody's a few at a time, and the sockets now and then in between."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol


class Turned(Protocol):
    """Who has frames that are to be looked at."""

    is_waiting: bool
    """Set here: for its turn."""

    def step(self) -> bool:
        """Take a few of the frames; returns whether there are more."""

    def regulate(self) -> None:
        """Read on, or not, now that it waits, or waits no more."""


class Turns:
    """
    Goes round among those who have sent more than a few frames at once.

    A read of 256 KiB may be 50 000 frames. Whoever sends few of them does not wait behind all of those.

    Args:
        seconds: How long it goes on until the loop has its turn.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._waiting: deque[Turned] = deque()

    def come(self, client: Turned) -> None:
        """It has got frames: look at some of them now, if nobody waits, and at the rest in its turns."""
        if self._waiting or client.step():
            self.wait(client)

    def wait(self, client: Turned) -> None:
        """It has frames: look at them when those have had a turn who wait already."""
        if not client.is_waiting:
            client.is_waiting = True
            self._waiting.append(client)
            client.regulate()
            if len(self._waiting) == 1:
                self._go_on()

    def _go_on(self) -> None:
        asyncio.get_running_loop().call_soon(self._go_round)

    def _go_round(self) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        while True:
            self._next()
            if not self._waiting:
                return
            if loop.time() >= end:
                self._go_on()
                return

    def _next(self) -> None:
        # It stays in its place meanwhile: whoever comes through it waits behind it.
        client = self._waiting[0]
        has_more = client.step()
        self._waiting.popleft()
        if has_more:
            self._waiting.append(client)
        else:
            client.is_waiting = False
            client.regulate()
