"""
Noticing that the daemon does not answer: a stopped one closes nothing, and whoever waits for it waits for ever.

A question that costs the daemon nothing is asked while something of ours is pending, or always. Its answer may wait
behind other calls of the same handle: they are as unanswered then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from weakref import ref

from aiocpg._loop import LoopPort, Task, Timer
from aiocpg.errors import CPGError

STALL_SECONDS = 2.0
"""How long an answer may take unless ``stall_after`` says otherwise. A daemon that runs answers within milliseconds."""

log = logging.getLogger("aiocpg")


class Pulse:
    """
    Asks for a sign of life, one question at a time.

    Args:
        port: The loop.
        after: Seconds without an answer that count as stalled.
        ask: The question; returns with the answer.
        is_wanted: Whether to ask now.
        stalled: Told once for each silence, with its seconds so far.
        resumed: Told when it ends with an answer, with its seconds.
    """

    def __init__(
        self,
        port: LoopPort,
        after: float,
        ask: Callable[[], Awaitable[None]],
        is_wanted: Callable[[], bool],
        stalled: Callable[[float], object],
        resumed: Callable[[float], object],
    ) -> None:
        self._port = port
        self._after = after
        self._ask = ask
        self._is_wanted = is_wanted
        self._stalled = stalled
        self._resumed = resumed
        self._timer: Timer | None = None
        self._task: Task | None = None
        self._is_asking = False
        self._asked_at = 0.0
        self._is_stalled = False
        self._is_stopped = False
        self._beat()

    @property
    def silent_for(self) -> float:
        """Seconds since the question that is not answered, once they are too many; 0 otherwise."""
        return self._port.time() - self._asked_at if self._is_stalled else 0.0

    def stop(self) -> None:
        """Ask no more. Repeating does nothing."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _beat(self) -> None:
        pulse = ref(self)

        def beat() -> None:
            # Held weakly: a timer must not keep alive what nobody else does.
            this = pulse()
            if this is not None and not this._is_stopped:
                this._look()
                this._beat()

        # A silence is told after once to one and a half times of it, or twice where the loop stands still meanwhile.
        self._timer = self._port.call_later(self._after / 2, beat, _crashed)

    def _look(self) -> None:
        if not self._is_asking and self._is_wanted():
            self._is_asking = True
            self._asked_at = self._port.time()
            self._task = self._port.spawn(self._question, "pulse", self._broke_off)

    async def _question(self) -> None:
        self._silence = self._port.call_later(self._after, self._notice, _crashed)
        is_answered = False
        try:
            await self._ask()
            is_answered = True
        except CPGError as error:
            # Gone is not silent; whoever owns what was asked tells of the loss.
            log.debug("! no sign of life: %s", error)
        finally:
            self._silence.cancel()
            self._is_asking = False
            was_stalled, self._is_stalled = self._is_stalled, False
        if was_stalled and is_answered:
            self._resumed(self._port.time() - self._asked_at)

    def _broke_off(self, error: BaseException) -> None:
        self._is_asking = False  # it may not even have begun
        _crashed(error)

    def _notice(self) -> None:
        if self._port.time() - self._asked_at > 1.25 * self._after:
            # This comes late: the loop stood still, and the answer may be waiting for its turn as this did.
            self._silence = self._port.call_later(self._after / 2, self._tell, _crashed)
        else:
            self._tell()

    def _tell(self) -> None:
        if not self._is_stopped:
            self._is_stalled = True
            self._stalled(self.silent_for)


def _crashed(error: BaseException) -> None:
    if not isinstance(error, asyncio.CancelledError):  # somebody cancels all tasks; there is another beat
        log.error("the watch over the daemon's answers ended: %r", error)
