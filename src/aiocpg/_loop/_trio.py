"""
trio: a system task stands in for each callback.

Imported where trio runs, for it is optional.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from ._port import Callback, Crashed, LoopPort, Signal, Task, Timer, Watch, guarded


class _TrioTask(Timer, Task):
    """A system task that can be cancelled. An error would end trio as a whole, so it goes to ``crashed``."""

    def __init__(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> None:
        self._scope = trio.CancelScope()
        self._run = run
        self._crashed = crashed
        try:
            trio.lowlevel.spawn_system_task(self._main, name=name)
        except RuntimeError:
            # At the end of the run, when the other system tasks are gone, it takes no more, and callbacks still come.
            if not trio.lowlevel.in_trio_run():
                raise

    async def _main(self) -> None:
        with self._scope:
            try:
                await self._run()
            except Exception as error:  # noqa: BLE001 - the owner is told
                self._crashed(error)

    def cancel(self) -> None:
        self._scope.cancel()


class _TrioWatch(Watch):
    def __init__(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> None:
        self._fd = fd
        self._on_readable = on_readable
        self._on_writable = on_writable
        self._open = True
        self._writer: _TrioTask | None = None
        self._crashed = crashed
        self._reader = _TrioTask(self._read, "aiocpg reader", crashed)

    async def _read(self) -> None:
        while self._open:
            try:
                await trio.lowlevel.wait_readable(self._fd)
            except trio.ClosedResourceError:
                return
            if self._open:
                self._on_readable()

    def want_writable(self) -> None:
        if self._open and self._writer is None:
            self._writer = _TrioTask(self._write, "aiocpg writer", self._crashed)

    async def _write(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self._fd)
        except trio.ClosedResourceError:
            return
        self._writer = None
        if self._open:
            self._on_writable()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._reader.cancel()
            if self._writer is not None:
                self._writer.cancel()
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(self._fd)


class _TrioSignal:
    """What ``trio.Event`` does for one task, again and again, and with half of its calls."""

    def __init__(self) -> None:
        self._waiter: trio.lowlevel.Task | None = None

    def set(self) -> None:
        if self._waiter is not None:
            waiter, self._waiter = self._waiter, None
            trio.lowlevel.reschedule(waiter)

    async def wait(self) -> None:
        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED


class TrioPort(LoopPort):
    """trio."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        self._token = token
        self._current_token = trio.lowlevel.current_trio_token

    def is_here(self) -> bool:
        try:
            return self._current_token() is self._token
        except RuntimeError:  # no trio runs in this thread
            return False

    @property
    def is_running(self) -> Callable[[], object]:
        return self.is_here

    def watch(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> Watch:
        return _TrioWatch(fd, guarded(on_readable, crashed), guarded(on_writable, crashed), crashed)

    def call_soon(self, callback: Callback, crashed: Crashed) -> None:
        with suppress(trio.RunFinishedError):  # there is no next turn
            self._token.run_sync_soon(guarded(callback, crashed))

    def call_later(self, delay: float, callback: Callback, crashed: Crashed) -> Timer:
        run = guarded(callback, crashed)

        async def wait() -> None:
            await trio.sleep(delay)
            run()

        return _TrioTask(wait, "aiocpg timer", crashed)

    def spawn(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> Task:
        return _TrioTask(run, f"aiocpg {name}", crashed)

    def call_from_thread(self, callback: Callback) -> None:
        self._token.run_sync_soon(callback)

    def signal(self) -> Signal:
        return _TrioSignal()

    def time(self) -> float:
        return trio.current_time()
