"""Where something was opened, and refusing its use elsewhere."""

from __future__ import annotations

import os
from threading import get_ident

from aiocpg._loop import LoopPort
from aiocpg.errors import ForkedError, UsageError

# Told apart by identity: each fork has its own. Asking for the pid is a system call, and this is asked with each send.
_generation = object()


def _forked() -> None:
    global _generation  # noqa: PLW0603 - of the process, like the pid it stands for
    _generation = object()


os.register_at_fork(after_in_child=_forked)


class Place:
    """The process and the loop that something belongs to."""

    def __init__(self, port: LoopPort) -> None:
        self._port = port
        self._is_running = port.is_running
        self._thread = get_ident()
        self._generation = _generation

    def is_in_child(self) -> bool:
        """Whether this process is a fork of the one that opened it."""
        return self._generation is not _generation

    def check(self) -> None:
        """
        Do nothing where it may be used.

        Raises:
            ForkedError: This process is a fork of the one that opened it.
            UsageError: The caller runs in another thread or event loop.
        """
        # What is asked with each send costs a tenth of the rest, which is for the other cases.
        if self._generation is not _generation or get_ident() != self._thread or not self._is_running():
            self._look()

    def _look(self) -> None:
        if self.is_in_child():
            raise ForkedError
        if not self._port.is_here():
            raise UsageError(
                "used from another thread or event loop than the one it was opened in: "
                "hand the work over to it (asyncio.run_coroutine_threadsafe, trio.from_thread.run), or connect here"
            )
        self._thread = get_ident()  # the loop goes on in another thread
