"""Sending: multicasts that say "not now" instead of spinning. The arithmetic is in guard.c."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ._shim import ffi, lib
from .status import Status, check

_OK = int(Status.OK)

COPIED = 2048
"""Bytes of a message on average up to which many are copied together for one call into C; a call costs no more than to
copy so many."""


class Guard:
    """
    The send side of one handle; one thread at a time uses it.

    Args:
        handle: The handle, whose group has been joined.
        fd: Its descriptor; must be open as long as the guard is used.

    Raises:
        StatusError: The handle is not open.

    Attributes:
        send: ``send(data, len(data))`` is what :meth:`mcast` does, without a call of a Python function.
    """

    def __init__(self, handle: int, fd: int) -> None:
        self._guard: Any = ffi.new("struct aiocpg_guard *")
        self.send: Callable[[bytes, int], int] = partial(lib.aiocpg_mcast, self._guard)
        self._taken: Any = ffi.new("size_t *")
        check("cpg_max_atomic_msgsize_get", lib.aiocpg_guard_open(self._guard, handle, fd))

    @property
    def max_size(self) -> int:
        """Most bytes of one message (``cpg_max_atomic_msgsize_get``); above it libcpg would block."""
        return int(self._guard.max_size)

    def mcast(self, data: bytes) -> int:
        """
        Send one message, AGREED, without ever blocking.

        Returns:
            OK, NOT_WRITABLE or TRY_AGAIN (congested), HUNG_UP or LIBRARY (the connection is gone), TOO_BIG, BAD_HANDLE.
        """
        return self.send(data, len(data))

    def mcast_many(self, messages: Sequence[bytes]) -> tuple[int, int]:
        """
        Send messages in order up to the first that is not taken; small ones in one call into C.

        These are copied into one block first, so give it what may go out at once (a send window), not a day's work.

        Returns:
            How many were taken, and the status of the first that was not, else OK.
        """
        if sum(map(len, messages)) > COPIED * len(messages):
            return self._one_by_one(messages)
        lengths = array("I", map(len, messages))
        status: int = lib.aiocpg_mcast_many(
            self._guard, b"".join(messages), ffi.from_buffer("uint32_t[]", lengths), len(lengths), self._taken
        )
        return self._taken[0], status

    def _one_by_one(self, messages: Sequence[bytes]) -> tuple[int, int]:
        for taken, data in enumerate(messages):
            status = self.mcast(data)
            if status != _OK:
                return taken, status
        return len(messages), _OK
