"""
Running checks: each on a thread of its own with an event loop of its own, of the kind that the caller runs on.

An engine that blocks, blocks that thread, and an engine that shields itself against cancellation holds up that loop.
Both are seen from here, by a heart that no longer beats and by a verdict that was given while the loop did not end.
The thread is then left to itself; it is a daemon thread, so it keeps nobody from exiting.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import anyio

from ._check import Check
from ._report import CheckResult, ConformanceError, EngineReport, Outcome
from ._room import Room
from ._table import CHECKS
from ._world import World

PATIENCE = 30.0
"""Seconds until a wait, or a call that does not return, counts as a hang. What is waited for takes milliseconds."""

_BEAT_SECONDS = 0.02


async def check_engine(world: World, *, checks: Sequence[Check] = CHECKS, patience: float = PATIENCE) -> EngineReport:
    """
    Run all checks, one after the other, also behind one that failed.

    Returns when all are done. Cancelling ends the check that runs, and what it has opened.

    Args:
        world: Where the engines are.
        checks: Which ones.
        patience: Seconds until a wait, or a call that does not return, counts as a hang.

    Returns:
        A line for each check. Those that need what the world has not got are "not applicable", with the reason.

    Raises:
        ExceptionGroup: Of one :class:`ConformanceError` per check that failed; the report is its note.

    Example::

        report = await check_engine(MyWorld())
        print(report)
    """
    results: list[CheckResult] = []
    errors: list[ConformanceError] = []
    for check in checks:
        try:
            results.append(await run_check(check, world, patience=patience))
        except ConformanceError as error:
            results.append(error.result)
            errors.append(error)
    report = EngineReport(world.name, _loop_name(), tuple(results))
    if errors:
        group = ExceptionGroup(f"{world.name} fails {len(errors)} of {len(results)} checks", errors)
        group.add_note(str(report))
        raise group
    return report


async def run_check(check: Check, world: World, *, patience: float = PATIENCE) -> CheckResult:
    """
    Run one check. Cancelling ends it.

    Args:
        check: One of ``CHECKS``.
        world: Where the engines are.
        patience: Seconds until a wait, or a call that does not return, counts as a hang.

    Returns:
        That the promise was kept, or cannot be looked at in this world.

    Raises:
        ConformanceError: It was broken.
        Exception: What the world raised when it was reset.
    """
    missing = world.abilities.missing(sorted(check.needs))
    if missing:
        return CheckResult(check.promise, check.name, Outcome.NOT_APPLICABLE, "; ".join(missing))
    run = _Run(check, world, patience)
    backend, options = _backend()
    run.start(backend, options)
    try:
        await run.over()
    finally:
        with anyio.CancelScope(shield=True):
            await run.stop()
    run.raise_verdict()
    return CheckResult(check.promise, check.name, Outcome.KEPT)


class _Run:
    def __init__(self, check: Check, world: World, patience: float) -> None:
        self._check = check
        self._world = world
        self._patience = patience
        self._beat = time.monotonic()
        self._judged_at: float | None = None
        self._verdict: Exception | None = None
        self._hang: str = ""
        self._stopping = False
        self._thread: threading.Thread

    # -- On the caller's side

    def start(self, backend: str, options: dict[str, Any]) -> None:
        def main() -> None:
            try:
                anyio.run(self._main, backend=backend, backend_options=options)
            except Exception as error:  # noqa: BLE001 - the verdict, unless there is one
                self._verdict = self._verdict or error

        self._thread = threading.Thread(target=main, name="aiocpg-conformance", daemon=True)
        self._thread.start()

    async def over(self) -> None:
        """Wait until the thread has ended, or hangs."""
        while self._thread.is_alive() and not self._hangs():  # noqa: ASYNC110 - another loop cannot wake this one
            await anyio.sleep(_BEAT_SECONDS / 2)

    async def stop(self) -> None:
        """End the check, unless it has ended or hangs."""
        self._stopping = True
        if not self._hang:
            await self.over()

    def raise_verdict(self) -> None:
        if self._verdict is not None:
            raise self._verdict
        if self._hang:
            raise ConformanceError(self._check.promise, self._check.name, self._hang)

    def _hangs(self) -> bool:
        # The heart ends with the check; what then keeps the loop from ending may block it or not.
        if time.monotonic() - (self._judged_at or self._beat) > self._patience:
            stood_still = f"the event loop stood still for {self._patience:g} s, {self._where()}"
            self._hang = "when all was done, the event loop did not end" if self._judged_at else stood_still
        return bool(self._hang)

    def _where(self) -> str:
        """The function that the thread stands in: the first one of the engine's, or where the loop itself is."""
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = traceback.extract_stack(frame)
        here = str(Path(__file__).parent)
        ours = max((place for place, line in enumerate(stack) if line.filename.startswith(here)), default=-1)
        line = stack[min(ours + 1, len(stack) - 1)]
        return f"in {line.name} ({Path(line.filename).name}:{line.lineno})"

    # -- On the thread

    async def _main(self) -> None:
        async with anyio.create_task_group() as tasks:
            scope = anyio.CancelScope()
            tasks.start_soon(self._live, scope)
            room = Room(self._check.promise, self._check.name, self._world, self._patience, tasks)
            with scope:
                if await self._reset():
                    await self._judge(self._check.run(room))
            await self._judge(room.close())
            self._judged_at = time.monotonic()
            tasks.cancel_scope.cancel()

    async def _live(self, scope: anyio.CancelScope) -> None:
        """Show that the loop turns; and end the check when its caller wants to go, but not the closing behind it."""
        while True:
            self._beat = time.monotonic()
            if self._stopping:
                scope.cancel()
            await anyio.sleep(_BEAT_SECONDS)

    async def _reset(self) -> bool:
        try:
            await self._world.reset()
        except Exception as error:  # noqa: BLE001 - raised where the check was asked for
            self._verdict = error
        return self._verdict is None

    async def _judge(self, step: Awaitable[None]) -> None:
        try:
            await step
        except ConformanceError as error:
            self._verdict = self._verdict or error
        except Exception as error:  # noqa: BLE001 - whatever it is, the engine did not do what it promised
            self._verdict = self._verdict or self._unforeseen(error)

    def _unforeseen(self, error: Exception) -> ConformanceError:
        found = ConformanceError(self._check.promise, self._check.name, f"{error!r} was raised")
        found.__cause__ = error
        return found


def _backend() -> tuple[str, dict[str, Any]]:
    """The kind of loop that runs here, as :func:`anyio.run` takes it."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return "trio", {}
    return "asyncio", {"loop_factory": type(loop)}


def _loop_name() -> str:
    backend, options = _backend()
    return backend if backend == "trio" else str(options["loop_factory"].__module__).partition(".")[0]
