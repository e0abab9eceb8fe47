"""Where something was opened, and refusing its use elsewhere."""

from __future__ import annotations

import os

from aiocpg._loop import LoopPort
from aiocpg.errors import ForkedError, UsageError


class Place:
    """The process and the loop that something belongs to."""

    def __init__(self, port: LoopPort) -> None:
        self._port = port
        self._pid = os.getpid()

    def is_in_child(self) -> bool:
        """Whether this process is a fork of the one that opened it."""
        return os.getpid() != self._pid

    def check(self) -> None:
        """
        Do nothing where it may be used.

        Raises:
            ForkedError: This process is a fork of the one that opened it.
            UsageError: The caller runs in another thread or event loop.
        """
        if self.is_in_child():
            raise ForkedError
        if not self._port.is_here():
            raise UsageError(
                "used from another thread or event loop than the one it was opened in: "
                "hand the work over to it (asyncio.run_coroutine_threadsafe, trio.from_thread.run), or connect here"
            )
