"""asyncio and uvloop: everything is a callback of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from operator import attrgetter

from ._port import Callback, Crashed, LoopPort, Signal, Task, Timer, Watch, guarded


class _AsyncioWatch(Watch):
    def __init__(self, loop: asyncio.AbstractEventLoop, fd: int, on_readable: Callback, on_writable: Callback) -> None:
        self._loop = loop
        self._fd = fd
        self._on_writable = on_writable
        self._writing = False
        self._open = True
        loop.add_reader(fd, on_readable)

    def want_writable(self) -> None:
        if self._open and not self._writing:
            self._writing = True
            self._loop.add_writer(self._fd, self._writable)

    def _writable(self) -> None:
        self._stop_writing()
        self._on_writable()

    def _stop_writing(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._fd)

    def close(self) -> None:
        if self._open:
            self._open = False
            if not self._loop.is_closed():
                self._stop_writing()
                self._loop.remove_reader(self._fd)


class _AsyncioTimer(Timer):
    def __init__(self, handle: asyncio.TimerHandle) -> None:
        self._handle = handle

    def cancel(self) -> None:
        self._handle.cancel()


class _AsyncioTask(Task):
    def __init__(
        self, loop: asyncio.AbstractEventLoop, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed
    ) -> None:
        self._is_cancelled = False
        self._crashed = crashed
        self._task = loop.create_task(self._main(run), name=name)
        self._task.add_done_callback(self._ended)

    async def _main(self, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - the owner is told
            self._crashed(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        # Some programs cancel every task there is; one that has not begun yet would not notice by itself.
        if task.cancelled() and not self._is_cancelled:
            self._crashed(asyncio.CancelledError())

    def cancel(self) -> None:
        self._is_cancelled = True
        self._task.cancel()


class _AsyncioSignal:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._new_future = loop.create_future
        self._future: asyncio.Future[None] | None = None

    def set(self) -> None:
        if self._future is not None and not self._future.done():  # it is, where the wait was cancelled
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        self._future = self._new_future()
        return self._future


class AsyncioPort(LoopPort):
    """asyncio, and uvloop, which is an asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def is_here(self) -> bool:
        # The undecorated look-up: it answers None where there is no loop. In CPython 3.11 it is a system call.
        return asyncio._get_running_loop() is self._loop

    @property
    def is_running(self) -> Callable[[], object]:
        # What `BaseEventLoop.is_running` looks at, but in C: it is asked with each message. Other loops, uvloop among
        # them, are in C themselves, or have a way of their own.
        if type(self._loop).is_running is asyncio.BaseEventLoop.is_running and hasattr(self._loop, "_thread_id"):
            return partial(attrgetter("_thread_id"), self._loop)
        return self._loop.is_running

    def watch(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> Watch:
        return _AsyncioWatch(self._loop, fd, guarded(on_readable, crashed), guarded(on_writable, crashed))

    def call_soon(self, callback: Callback, crashed: Crashed) -> None:
        self._loop.call_soon(guarded(callback, crashed))

    def call_later(self, delay: float, callback: Callback, crashed: Crashed) -> Timer:
        return _AsyncioTimer(self._loop.call_later(delay, guarded(callback, crashed)))

    def spawn(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> Task:
        return _AsyncioTask(self._loop, run, f"aiocpg {name}", crashed)

    def call_from_thread(self, callback: Callback) -> None:
        self._loop.call_soon_threadsafe(callback)

    def signal(self) -> Signal:
        return _AsyncioSignal(self._loop)

    def time(self) -> float:
        return self._loop.time()
