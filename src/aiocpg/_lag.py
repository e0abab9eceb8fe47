"""Noticing that the loop stood still: a loop that user code blocks cannot dispatch, and corosync grows meanwhile."""

from __future__ import annotations

import logging
from weakref import ref

from aiocpg._loop import LoopPort, Timer

BEAT_SECONDS = 0.25
LAG_SECONDS = 1.0
"""A beat later than this is reported: every standstill over 1.25 s is, none under 1 s."""

log = logging.getLogger("aiocpg")


class LagWatch:
    """
    Looks at the loop's clock four times a second.

    Attributes:
        lags: How often the loop stood still for more than a second.
    """

    def __init__(self, port: LoopPort) -> None:
        self._port = port
        self._timer: Timer | None = None
        self._stopped = False
        self.lags = 0
        self._beat()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        due = self._port.time() + BEAT_SECONDS
        watch = ref(self)

        def beat() -> None:
            # Held weakly: a timer must not keep alive what nobody else does.
            this = watch()
            if this is not None and not this._stopped:
                this._look(due)
                this._beat()

        self._timer = self._port.call_later(BEAT_SECONDS, beat, _crashed)

    def _look(self, due: float) -> None:
        late = self._port.time() - due
        if late > LAG_SECONDS:
            self.lags += 1
            log.warning(
                "the event loop stood still for %.1f s: something blocks it or stopped the process, and the "
                "engine buffers meanwhile",
                late,
            )


def _crashed(error: BaseException) -> None:
    log.error("the watch over the loop's lag ended: %r", error)
