"""
Calls that may wait for ever, beside the loop: reading the standard input, writing the standard output.

They run in a daemon thread, which keeps neither the loop from running nor the program from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Aside:
    """A thread that makes calls, one after the other."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    async def call(self, function: Callable[[], T]) -> T:
        """Have the thread call it; returns and raises what it does. Cancelled, the call goes on and is forgotten."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[T] = loop.create_future()

        def make() -> None:
            settled = _made(function, outcome)
            with suppress(RuntimeError):  # the loop has ended meanwhile, and nobody waits
                loop.call_soon_threadsafe(settled)

        self._calls.put(make)
        return await outcome

    def _run(self) -> None:
        while True:
            self._calls.get()()


def _made(function: Callable[[], T], outcome: asyncio.Future[T]) -> Callable[[], None]:
    """Make the call; return what tells its outcome, in the loop."""
    tell: Callable[[Any], None] = outcome.set_result
    what: Any
    try:
        what = function()
    except Exception as error:  # noqa: BLE001 - raised again where the result is waited for
        tell, what = outcome.set_exception, error
    return lambda: None if outcome.done() else tell(what)
