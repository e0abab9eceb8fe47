"""Waiting in a row for something that only the first may take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio


class _Waiting:
    def __init__(self) -> None:
        self.event = anyio.Event()


class Turns:
    """
    Calls that wait for room, served in the order in which they came.

    Attributes:
        waiting: Those that do.
    """

    def __init__(self) -> None:
        self.waiting: deque[_Waiting] = deque()

    async def wait(self, is_ready: Callable[[], bool]) -> None:
        """
        Wait until all that came before have gone on, and ``is_ready`` answers True.

        What was asked for has to be taken without another ``await``; then :meth:`wake`. ``is_ready`` may raise.
        """
        me = _Waiting()
        self.waiting.append(me)
        try:
            while self.waiting[0] is not me or not is_ready():
                await me.event.wait()
                me.event = anyio.Event()
        finally:
            self.waiting.remove(me)
            self.wake()

    def wake(self) -> None:
        """Something changed that the first may have waited for."""
        if self.waiting:
            self.waiting[0].event.set()
