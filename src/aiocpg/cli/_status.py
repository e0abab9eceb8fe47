"""The status that the program ends with, and what it says before. The one place where errors become numbers."""

from __future__ import annotations

import enum
import signal

from aiocpg import EngineError, EngineUnavailableError, MessageTooBigError, UsageError


class Status(enum.IntEnum):
    """What a shell sees; 128 and a signal's number besides."""

    DONE = 0
    FAILED = 1
    """The answer is no: somebody did not answer a ping, the doctor found a problem, the output cannot be written."""
    USAGE = 2
    """It was called wrongly."""
    UNAVAILABLE = 3
    """The engine cannot be used: no libcpg, no daemon, no right to connect."""
    LOST = 4
    """The engine, or the membership, was lost on the way."""


def after_signal(signum: int, *, endless: bool) -> int:
    """The status when told to end: what runs until then has done its job, anything else has not."""
    return Status.DONE if endless else 128 + signum


def after_error(error: BaseException, *, endless: bool) -> tuple[int, str] | None:
    """The status and what to say; None for an error of this program's own."""
    for signum, kind in ((signal.SIGPIPE, BrokenPipeError), (signal.SIGINT, KeyboardInterrupt)):
        if isinstance(error, kind):
            return after_signal(signum, endless=endless), ""
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), None)
    return None if status is None else (status, _words(error))


_STATUSES: tuple[tuple[type[BaseException], Status], ...] = (
    (UsageError, Status.USAGE),
    (EngineUnavailableError, Status.UNAVAILABLE),
    (EngineError, Status.LOST),
    (OSError, Status.FAILED),
)
"""The first that fits counts: a lost connection is an OSError, too."""


def _words(error: BaseException) -> str:
    match error:
        case MessageTooBigError(size=size, limit=limit):
            return f"a message has at most {limit} bytes, this one has {size}: send it in pieces"
        case EngineUnavailableError(reason=reason, cure=cure):
            return f"{reason}\ncure: {cure}"
        case OSError(filename=str(file), strerror=str(what)):
            return f"{file}: {what}"
    return str(error)


def culprit(error: BaseException) -> BaseException:
    """The error that matters of those that tasks ended with: the first that :func:`after_error` knows."""
    while isinstance(error, BaseExceptionGroup):
        known = [one for one in error.exceptions if after_error(culprit(one), endless=True)]
        error = (known or error.exceptions)[0]
    return error
