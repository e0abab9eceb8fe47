"""
The zero-copy buffers of libcpg: kept for completeness, checked because mistakes here end processes.

In 3.1.7 ``cpg_zcb_alloc`` makes a file in /dev/shm and asserts that this works: where there is no room the caller is
aborted, and where the daemon does not see the same /dev/shm the daemon is.
"""

from __future__ import annotations

import os
from typing import Any

from aiocpg.errors import MessageTooBigError, StatusError, UsageError

from ._load import table
from ._shim import ffi
from .binding import Handle, max_atomic_msgsize_get
from .status import Status, check, status_name

_SHM = "/dev/shm"
_ROOM = 64 * 1024
"""Bytes beyond the payload that must be free: libcpg's headers, and the rounding to pages."""


class ZeroCopyBuffer:
    """Memory that libcpg gave: write the message to :attr:`data`. Gone after ``zcb_free``."""

    def __init__(self, handle: Handle, pointer: Any, size: int) -> None:
        self._handle = handle
        self._pointer = pointer
        self._data = memoryview(ffi.buffer(pointer, size))

    @property
    def data(self) -> memoryview:
        """The memory, writable. Slices taken of it must not be used once the buffer is freed."""
        return self._data

    def pointer(self, handle: Handle) -> Any:
        """The address, for the handle it was made with and while it is not freed."""
        if self._pointer is None or handle != self._handle:
            raise UsageError("the zero-copy buffer was freed or belongs to another handle")
        return self._pointer

    def close(self) -> None:
        """Forget the memory, so that nothing here touches it again."""
        self._pointer = None
        self._data.release()


def zcb_alloc(handle: Handle, size: int) -> ZeroCopyBuffer:
    """``cpg_zcb_alloc``, where it cannot abort anybody."""
    limit = max_atomic_msgsize_get(handle)
    if not 1 <= size <= limit:
        raise MessageTooBigError(size, limit) if size > limit else UsageError("a zero-copy buffer has at least 1 byte")
    room = os.statvfs(_SHM)
    if room.f_bavail * room.f_frsize < size + _ROOM:
        raise StatusError("cpg_zcb_alloc", Status.NO_SPACE, status_name(Status.NO_SPACE))
    pointer = ffi.new("void **")
    check("cpg_zcb_alloc", _call("zcb_alloc")(handle, size, pointer))
    return ZeroCopyBuffer(handle, pointer[0], size)


def zcb_free(handle: Handle, buffer: ZeroCopyBuffer) -> None:
    """``cpg_zcb_free``; the buffer is closed whatever is raised by the call."""
    pointer = buffer.pointer(handle)
    buffer.close()
    check("cpg_zcb_free", _call("zcb_free")(handle, pointer))


def zcb_mcast_joined(handle: Handle, guarantee: int, buffer: ZeroCopyBuffer, length: int) -> None:
    """``cpg_zcb_mcast_joined`` of the first ``length`` bytes."""
    pointer = buffer.pointer(handle)
    if not 0 <= length <= len(buffer.data):
        raise UsageError(f"the zero-copy buffer has {len(buffer.data)} bytes, {length} cannot be sent from it")
    check("cpg_zcb_mcast_joined", _call("zcb_mcast_joined")(handle, guarantee, pointer, length))


def _call(name: str) -> Any:
    function = getattr(table(), name)
    if function == ffi.NULL:
        raise StatusError(f"cpg_{name}", Status.NOT_SUPPORTED, status_name(Status.NOT_SUPPORTED))
    return function
