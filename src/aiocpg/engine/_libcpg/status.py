"""What calls return: libcpg's statuses, a few of our own, and the error each becomes."""

from __future__ import annotations

import enum

from aiocpg.errors import StatusError, UsageError


class Status(enum.IntEnum):
    """``cs_error_t`` as in corosync/corotypes.h (without ``CS_`` and ``CS_ERR_``), and negative ones of our own."""

    OK = 1
    LIBRARY = 2
    VERSION = 3
    INIT = 4
    TIMEOUT = 5
    TRY_AGAIN = 6
    INVALID_PARAM = 7
    NO_MEMORY = 8
    BAD_HANDLE = 9
    BUSY = 10
    ACCESS = 11
    NOT_EXIST = 12
    NAME_TOO_LONG = 13
    EXIST = 14
    NO_SPACE = 15
    INTERRUPT = 16
    NAME_NOT_FOUND = 17
    NO_RESOURCES = 18
    NOT_SUPPORTED = 19
    BAD_OPERATION = 20
    FAILED_OPERATION = 21
    MESSAGE_ERROR = 22
    QUEUE_FULL = 23
    QUEUE_NOT_AVAILABLE = 24
    BAD_FLAGS = 25
    TOO_BIG = 26
    NO_SECTIONS = 27
    CONTEXT_NOT_FOUND = 28
    TOO_MANY_GROUPS = 30
    SECURITY = 100

    NOT_WRITABLE = -1
    """The daemon has not read our earlier requests: wait until the descriptor is writable. Nothing was sent."""
    HUNG_UP = -2
    """The daemon closed the connection. Nothing was sent."""
    OUT_OF_MEMORY = -3
    """An event could not be kept; the stream has a hole from here on, so the handle must go."""
    STACK_TOO_SMALL = -4
    """This thread's stack is too small for ``cpg_dispatch``; nothing was done."""
    STUCK = -5
    """The descriptor stays readable and nothing comes: the connection is broken."""


def status_name(code: int) -> str:
    """The name of a status as corosync/corotypes.h spells it; ours begin with ``AIOCPG_``."""
    if code == Status.OK:
        return "CS_OK"
    try:
        known = Status(code)
    except ValueError:
        return "unknown status"
    return f"{'CS_ERR' if code > 0 else 'AIOCPG'}_{known.name}"


def check(call: str, code: int) -> None:
    """Raise what a status means unless it is OK. ``call`` is the name of the libcpg function."""
    if code == Status.OK:
        return
    if code == Status.STACK_TOO_SMALL:
        raise UsageError(
            f"{call} needs 1.2 MiB of stack and this thread has less left: "
            "raise threading.stack_size() or dispatch in the main thread"
        )
    raise StatusError(call, code, status_name(code))
