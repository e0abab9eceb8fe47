"""
The one file that knows event loops: descriptors, timers, tasks and calls from other threads, on asyncio, uvloop, trio.

On asyncio and uvloop everything is a callback of the loop; on trio a system task stands in for each. Callbacks given to
this file must not raise: each goes with a ``crashed`` function that gets what it raised all the same. Everything
above uses anyio's words.
"""

from __future__ import annotations

import asyncio
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import trio

Callback = Callable[[], object]
Crashed = Callable[[BaseException], object]


class Watch(ABC):
    """One descriptor in the loop: readable until closed, writable once each time it is asked for."""

    @abstractmethod
    def want_writable(self) -> None:
        """Call ``on_writable`` once, when the descriptor can be written."""

    @abstractmethod
    def close(self) -> None:
        """Take the descriptor out of the loop; call this before it is closed. Repeating does nothing."""


class Timer(ABC):
    """One call in the future."""

    @abstractmethod
    def cancel(self) -> None:
        """Do not call. Repeating does nothing."""


class Task(ABC):
    """Something that runs beside all else until it is done."""

    @abstractmethod
    def cancel(self) -> None:
        """End it where it waits, or before it begins. Repeating does nothing."""


class Signal(Protocol):
    """Something that one task waits for, once. An ``anyio.Event`` that costs a fifth of it."""

    def set(self) -> object:
        """It has come about. Repeating does nothing."""

    def wait(self) -> Awaitable[object]:
        """Wait for it."""


class LoopPort(ABC):
    """What the library needs of a running event loop. What is asked for while it ends may not happen any more."""

    @abstractmethod
    def is_here(self) -> bool:
        """Whether the caller runs in this very loop."""

    @property
    @abstractmethod
    def is_running(self) -> Callable[[], bool]:
        """
        Answers whether the loop runs.

        To a caller in the thread in which it ran, that is the same as :meth:`is_here`, and costs a fraction.
        """

    @abstractmethod
    def watch(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> Watch:
        """Call ``on_readable`` whenever the descriptor is readable (level-triggered), until the watch is closed."""

    @abstractmethod
    def call_soon(self, callback: Callback, crashed: Crashed) -> None:
        """Call once in the loop's next turn."""

    @abstractmethod
    def call_later(self, delay: float, callback: Callback, crashed: Crashed) -> Timer:
        """Call once after ``delay`` seconds."""

    @abstractmethod
    def spawn(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> Task:
        """Run a coroutine function beside all else. A cancellation that is not ours counts as a crash."""

    @abstractmethod
    def call_from_thread(self, callback: Callback) -> None:
        """Call soon in the loop; from any thread. Raises RuntimeError when the loop has ended."""

    @abstractmethod
    def signal(self) -> Signal:
        """A new signal."""

    @abstractmethod
    def time(self) -> float:
        """The loop's clock in seconds."""


class LoopEnd:
    """
    Calls ``callback`` in the loop while the loop is being shut down, unless cancelled before.

    Loops close the asynchronous generators that are still open when they end, which is the only notice of the end that
    all of them give. So one generator waits for it.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback: Callback | None = callback
        self._generator = self._wait()
        _step(self._generator.__anext__())

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            # Let go of it first: what it does may well cancel this, and a generator cannot be closed while it runs.
            callback, self._callback = self._callback, None
            if callback is not None:
                callback()

    def cancel(self) -> None:
        """Do not call. Repeating does nothing."""
        if self._callback is not None:
            self._callback = None
            _step(self._generator.aclose())


def _step(awaitable: Awaitable[None]) -> None:
    """Run an awaitable that never waits."""
    with suppress(StopIteration):
        awaitable.__await__().send(None)


def _running(callback: Callback, crashed: Crashed) -> Callback:
    def run() -> None:
        try:
            callback()
        except BaseException as error:
            crashed(error)
            if not isinstance(error, Exception):
                raise

    return run


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
        self._future = loop.create_future()

    def set(self) -> None:
        if not self._future.done():  # it is, where the wait was cancelled
            self._future.set_result(None)

    def wait(self) -> Awaitable[None]:
        return self._future


class AsyncioPort(LoopPort):
    """asyncio, and uvloop, which is an asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def is_here(self) -> bool:
        # The undecorated look-up: it answers None where there is no loop. In CPython 3.11 it is a system call.
        return asyncio._get_running_loop() is self._loop

    @property
    def is_running(self) -> Callable[[], bool]:
        return self._loop.is_running

    def watch(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> Watch:
        return _AsyncioWatch(self._loop, fd, _running(on_readable, crashed), _running(on_writable, crashed))

    def call_soon(self, callback: Callback, crashed: Crashed) -> None:
        self._loop.call_soon(_running(callback, crashed))

    def call_later(self, delay: float, callback: Callback, crashed: Crashed) -> Timer:
        return _AsyncioTimer(self._loop.call_later(delay, _running(callback, crashed)))

    def spawn(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> Task:
        return _AsyncioTask(self._loop, run, f"aiocpg {name}", crashed)

    def call_from_thread(self, callback: Callback) -> None:
        self._loop.call_soon_threadsafe(callback)

    def signal(self) -> Signal:
        return _AsyncioSignal(self._loop)

    def time(self) -> float:
        return self._loop.time()


class _TrioTask(Timer, Task):
    """A system task that can be cancelled. An error would end trio as a whole, so it goes to ``crashed``."""

    def __init__(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> None:
        import trio  # noqa: PLC0415 - trio is optional, and here it is running

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
        import trio  # noqa: PLC0415 - see _TrioTask

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
        import trio  # noqa: PLC0415 - see _TrioTask

        try:
            await trio.lowlevel.wait_writable(self._fd)
        except trio.ClosedResourceError:
            return
        self._writer = None
        if self._open:
            self._on_writable()

    def close(self) -> None:
        import trio  # noqa: PLC0415 - see _TrioTask

        if self._open:
            self._open = False
            self._reader.cancel()
            if self._writer is not None:
                self._writer.cancel()
            if trio.lowlevel.in_trio_run():
                trio.lowlevel.notify_closing(self._fd)


class TrioPort(LoopPort):
    """trio."""

    def __init__(self, token: trio.lowlevel.TrioToken) -> None:
        import trio  # noqa: PLC0415 - see _TrioTask

        self._token = token
        self._run_finished = trio.RunFinishedError
        self._in_trio_run = trio.lowlevel.in_trio_run
        self._current_token = trio.lowlevel.current_trio_token

    def is_here(self) -> bool:
        return self._in_trio_run() and self._current_token() is self._token

    @property
    def is_running(self) -> Callable[[], bool]:
        return self.is_here

    def watch(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> Watch:
        return _TrioWatch(fd, _running(on_readable, crashed), _running(on_writable, crashed), crashed)

    def call_soon(self, callback: Callback, crashed: Crashed) -> None:
        with suppress(self._run_finished):  # there is no next turn
            self._token.run_sync_soon(_running(callback, crashed))

    def call_later(self, delay: float, callback: Callback, crashed: Crashed) -> Timer:
        import trio  # noqa: PLC0415 - see _TrioTask

        run = _running(callback, crashed)

        async def wait() -> None:
            await trio.sleep(delay)
            run()

        return _TrioTask(wait, "aiocpg timer", crashed)

    def spawn(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> Task:
        return _TrioTask(run, f"aiocpg {name}", crashed)

    def call_from_thread(self, callback: Callback) -> None:
        self._token.run_sync_soon(callback)

    def signal(self) -> Signal:
        import trio  # noqa: PLC0415 - see _TrioTask

        return trio.Event()

    def time(self) -> float:
        import trio  # noqa: PLC0415 - see _TrioTask

        return trio.current_time()


def current_port() -> LoopPort:
    """The port of the running loop. Raises RuntimeError where none runs."""
    # Asked of the finished module: another thread may just be importing trio.
    lowlevel: Any = sys.modules.get("trio.lowlevel")
    in_trio_task = getattr(lowlevel, "in_trio_task", None)
    # trio first: as a guest it runs inside an asyncio loop, and then the task at hand is trio's.
    if in_trio_task is not None and in_trio_task():
        return TrioPort(lowlevel.current_trio_token())
    return AsyncioPort(asyncio.get_running_loop())
