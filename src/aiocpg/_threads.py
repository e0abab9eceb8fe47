"""
Blocking calls on daemon threads that can be abandoned.

libcpg's calls with a reply wait for ever. Each runs on a thread of its own; whoever waits for it can be cancelled or
told of a loss at once, and the thread then cleans up after itself whenever the call returns. The threads are daemons,
and not :mod:`anyio.to_thread`'s, because those keep the interpreter from exiting while a call is stuck.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio

from aiocpg._loop import LoopPort
from aiocpg.errors import EngineUnavailableError

T = TypeVar("T")


def nothing() -> None:
    """Do nothing; for callers that have nothing to do."""


def _keep(result: object) -> None: ...


class NoThreadError(EngineUnavailableError):
    """No thread could be started: too many of them, or the interpreter is about to end."""

    def __init__(self) -> None:
        super().__init__("no thread could be started for a call to corosync", "look at the limits (ulimit -u)", True)
        self.args = ()


def start_thread(run: Callable[[], object], name: str) -> None:
    """
    Run something on a daemon thread and forget it; ``run`` must not raise.

    Raises:
        NoThreadError: It did not even begin.
    """
    try:
        threading.Thread(target=run, name=f"aiocpg-{name}", daemon=True).start()
    except RuntimeError as error:
        raise NoThreadError from error


class BlockingCall(Generic[T]):
    """
    One blocking call in flight.

    Args:
        port: The loop that waits.
        job: The call; runs on the thread.
        name: Of the thread, for people who look at one.
        abandon: Called once, in the loop, when nobody waits any more; may make ``job`` return early.
        discard: Called with the result of a job that nobody waited for, on a thread.
    """

    def __init__(
        self,
        port: LoopPort,
        job: Callable[[], T],
        name: str,
        *,
        abandon: Callable[[], object] = nothing,
        discard: Callable[[T], object] = _keep,
    ) -> None:
        self._port = port
        self._job = job
        self._name = name
        self._abandon = abandon
        self._discard = discard
        self._lock = threading.Lock()
        self._abandoned = False
        self._outcome: Callable[[], T] | None = None
        self._settled = anyio.Event()
        self._error: BaseException | None = None

    async def wait(self) -> T:
        """
        Start the call and wait for it. Cancelling abandons it: its result goes to ``discard``.

        Raises:
            NoThreadError: The call was not made.
            BaseException: What the call raised.
        """
        start_thread(self._run, self._name)
        try:
            await self._settled.wait()
        except BaseException:
            self._give_up()
            raise
        if self._outcome is None:
            assert self._error is not None
            raise self._error
        return self._outcome()

    def fail(self, error: BaseException) -> None:
        """Abandon the call and raise this to whoever waits. In the loop; late calls do nothing."""
        if self._outcome is None and self._error is None:
            self._error = error
            self._give_up()
            self._settled.set()

    def _run(self) -> None:
        outcome = self._attempt()
        with self._lock:
            if not self._abandoned:
                self._outcome = outcome
                try:
                    self._port.call_from_thread(self._settled.set)
                    return
                except RuntimeError:  # the loop has ended, nobody waits
                    self._abandoned = True
        self._throw_away(outcome)

    def _attempt(self) -> Callable[[], T]:
        try:
            result = self._job()
        except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
            failure = error  # the name of the except clause is gone when the outcome is asked for

            def fail() -> T:
                raise failure

            return fail
        return lambda: result

    def _give_up(self) -> None:
        with self._lock:
            if self._abandoned:
                return
            self._abandoned = True
            outcome, self._outcome = self._outcome, None
        if outcome is None:
            self._abandon()
        elif self._discard is not _keep:
            start_thread(lambda: self._throw_away(outcome), self._name)

    def _throw_away(self, outcome: Callable[[], T]) -> None:
        try:
            result = outcome()
        except BaseException:  # noqa: BLE001 - a call that failed and that nobody waits for has nothing to clean up
            return
        self._discard(result)
