"""Looking at a program while a fault is on: does its loop run, does it burn the processor, when does a call end."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import anyio

from aiocpg import CPGError

Measured: TypeAlias = Callable[[str, float, str], None]
"""Takes the name, value and unit of something measured; the fixture ``measured`` is one."""

PATIENCE = 30
"""Seconds until a test gives up waiting."""

TICK = 0.01
"""Seconds between two ticks."""


async def until(condition: Callable[[], object], pause: float = TICK, patience: float | None = PATIENCE) -> None:
    """Wait for something that nothing announces; for ever, if patience is None."""
    with anyio.fail_after(patience):
        while not condition():  # noqa: ASYNC110 - there is no event, that is what this is for
            await anyio.sleep(pause)


class Ticker:
    """
    A task that wants to run a hundred times a second.

    Attributes:
        ticks: How often it did.
        worst: The longest it had to wait beyond its tick, in seconds, since :meth:`begin`.
    """

    def __init__(self) -> None:
        self.ticks = 0
        self.begin()

    def begin(self) -> None:
        """Begin to measure."""
        self.worst = 0.0
        self._began = time.monotonic(), time.process_time()

    async def run(self) -> None:
        """Tick."""
        while True:
            before = time.monotonic()
            await anyio.sleep(TICK)
            self.worst = max(self.worst, time.monotonic() - before - TICK)
            self.ticks += 1

    async def advance(self, ticks: int) -> None:
        """Wait until it has ticked so many times more."""
        goal = self.ticks + ticks
        await until(lambda: self.ticks >= goal)

    @property
    def load(self) -> float:
        """The share of one core that this process has used since :meth:`begin`."""
        elapsed, used = time.monotonic() - self._began[0], time.process_time() - self._began[1]
        return used / elapsed


@asynccontextmanager
async def ticking() -> AsyncIterator[Ticker]:
    """Run a ticker for the time of the block."""
    async with anyio.create_task_group() as tasks:
        ticker = Ticker()
        tasks.start_soon(ticker.run)
        yield ticker
        tasks.cancel_scope.cancel()


class Waiters:
    """
    Calls that wait, each in a task, and how and when each of them ended.

    Attributes:
        ends: Name of a call -> what it returned or raised, where it was an error of ours, and the time.
    """

    def __init__(self, tasks: anyio.abc.TaskGroup) -> None:
        self._tasks = tasks
        self._names: set[str] = set()
        self.ends: dict[str, tuple[object, float]] = {}

    def start(self, calls: Mapping[str, Callable[[], Awaitable[Any]]]) -> None:
        """Make these calls."""
        self._names |= set(calls)
        for name, call in calls.items():
            self._tasks.start_soon(self._wait, name, call)

    async def _wait(self, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        outcome: object
        try:
            outcome = await call()
        except CPGError as error:
            outcome = error
        self.ends[name] = outcome, time.monotonic()

    async def all_ended(self) -> Mapping[str, tuple[object, float]]:
        """Wait until every call has ended; return how."""
        try:
            await until(lambda: self._names == set(self.ends))
        except TimeoutError:
            raise AssertionError(f"still waiting: {sorted(self._names - set(self.ends))}") from None
        return self.ends


async def repeat(call: Callable[[], Awaitable[Any]]) -> None:
    """Make a call again and again, until it raises."""
    while True:
        await call()


async def read_on(stream: AsyncIterator[Any]) -> None:
    """Read a stream to its end."""
    async for _ in stream:
        pass
