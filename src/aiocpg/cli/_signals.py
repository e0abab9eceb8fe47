"""Being told to end: Ctrl-C, a service manager's SIGTERM, a closed terminal."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Told(BaseException):
    """
    One of the signals came. Not an Exception, as KeyboardInterrupt is none: nobody on the way up shall handle it.

    Attributes:
        signum: Which.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Signals:
    """The three signals while :func:`raising` is in force: each raises :class:`Told` in the main thread."""

    def __init__(self) -> None:
        self._is_held = False
        self._came: int | None = None

    def take(self, signum: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        if not self._is_held:
            raise Told(signum)
        self._came = signum

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let one that comes in the block raise at its end, so that what the block begins is known by then."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
        if self._came is not None:
            raise Told(self._came)


@contextmanager
def raising() -> Iterator[Signals]:
    """Have the signals raise :class:`Told` in the block; one that is ignored from the start stays so (nohup)."""
    signals = Signals()
    heard = [signum for signum in SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]
    before = {signum: signal.signal(signum, signals.take) for signum in heard}
    try:
        yield signals
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
