"""The event loops that members run in: each is called once, from whatever thread, for all that is due in it."""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import Callable

from aiocpg._loop import Callback, Crashed, LoopPort, call_guarded

LOCK = threading.RLock()
"""
Guards all worlds of this process. Everything of the engine's but what it tells its listeners happens under it.

One for all, because an engine that closes may end its world, which others may just be looking for; who holds it does
not wait. It is reentrant because the collector may close what was forgotten, at any point.
"""

_CALL_EVERY = 256
"""So often a loop that does not come is called again, to find out whether it has ended."""


class Loop:
    """
    One event loop. All of it is called under the lock, and it is made in the loop.

    Args:
        port: The loop.
        ended: Told, under the lock, when it is found to have ended.
    """

    def __init__(self, port: LoopPort, ended: Callable[[Loop], object]) -> None:
        self._port = port
        self._ended = ended
        self._context = contextvars.copy_context()
        self._due: deque[tuple[Callback, Crashed]] = deque()
        self._calls = 0
        self._has_ended = False

    def is_here(self) -> bool:
        """Whether the caller runs in it."""
        return self._port.is_here()

    def call(self, callback: Callback, crashed: Crashed) -> None:
        """Call soon in the loop, without the lock; ``crashed`` gets what the call raises."""
        self._due.append((callback, crashed))
        self.come()

    def come(self) -> None:
        """Something is due. A loop that was called already is called again now and then."""
        self._calls += 1
        if self._calls == 1 or self._calls % _CALL_EVERY == 0:
            self.look()

    def look(self) -> None:
        """Find out whether it has ended."""
        if self._has_ended:
            return
        try:
            # asyncio would take the context of whoever calls along, and there it may say that trio runs.
            self._context.copy().run(self._port.call_from_thread, self._run)
        except RuntimeError:
            self._has_ended = True
            self._ended(self)

    def forsake(self) -> None:
        """This process is a fork of the one whose loop it is: never touch it."""
        self._has_ended = True

    def _run(self) -> None:
        with LOCK:
            due, self._due = self._due, deque()
            self._calls = 0
        try:
            while due:
                call_guarded(*due.popleft())
        finally:
            if due:  # one raised what ends programs; the others are called all the same
                with LOCK:
                    self._due.extendleft(reversed(due))
                    self.look()
