"""Noticing a daemon that does not answer: one question at a time, told once, ended by the answer."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import anyio
import pytest

from aiocpg import ConnectionLostError
from aiocpg._loop import current_port
from aiocpg._pulse import Pulse
from support.loops import BACKENDS
from support.running import turns, until

pytestmark = pytest.mark.anyio

AFTER = 0.02


class Daemon:
    """
    Somebody who answers when told to.

    Attributes:
        asked: How many questions came.
        is_wanted: Whether to be asked.
        told: What was noticed.
    """

    def __init__(self, *, answers: bool = True, wanted: bool = True) -> None:
        self.asked = 0
        self.is_wanted = wanted
        self.told: list[str] = []
        self._answers = answers
        self._error: ConnectionLostError | None = None
        self._answer = anyio.Event()
        self.pulse = Pulse(
            current_port(),
            AFTER,
            self._ask,
            lambda: self.is_wanted,
            lambda seconds: self.told.append("stalled" if seconds >= AFTER / 2 else f"stalled after {seconds}"),
            lambda seconds: self.told.append("resumed" if seconds >= AFTER / 2 else f"resumed after {seconds}"),
        )

    async def _ask(self) -> None:
        self.asked += 1
        if not self._answers:
            await self._answer.wait()
        if self._error is not None:
            raise self._error

    def answer(self, error: ConnectionLostError | None = None) -> None:
        """Answer now, and from now on."""
        self._error = error
        self._answers = True
        self._answer.set()


async def test_daemon_that_answers_is_never_told_of() -> None:
    """However often it is asked."""
    daemon = Daemon()
    await until(lambda: daemon.asked > 5)
    daemon.pulse.stop()
    assert daemon.told == []
    assert daemon.pulse.silent_for == 0


async def test_nobody_is_asked_while_nothing_is_pending() -> None:
    """An idle program costs the daemon nothing."""
    daemon = Daemon(wanted=False)
    await anyio.sleep(4 * AFTER)
    assert daemon.asked == 0
    daemon.is_wanted = True
    await until(lambda: daemon.asked)
    daemon.pulse.stop()


async def test_silence_is_told_once_and_its_end_too() -> None:
    """There is one question under way however long it takes."""
    daemon = Daemon(answers=False)
    await until(lambda: daemon.told)
    await anyio.sleep(3 * AFTER)
    assert (daemon.asked, daemon.told) == (1, ["stalled"])
    assert daemon.pulse.silent_for > AFTER
    daemon.answer()
    await until(lambda: len(daemon.told) > 1)
    assert daemon.told == ["stalled", "resumed"]
    assert daemon.pulse.silent_for == 0
    await until(lambda: daemon.asked > 1)
    daemon.pulse.stop()


async def test_silence_that_ends_with_the_loss_is_not_told_as_resumed() -> None:
    """The loss is told by whoever owns what was lost."""
    daemon = Daemon(answers=False)
    await until(lambda: daemon.told)
    daemon.is_wanted = False
    daemon.answer(ConnectionLostError("gone"))
    await until(lambda: not daemon.pulse.silent_for)
    assert daemon.told == ["stalled"]
    daemon.pulse.stop()


async def test_loop_that_stood_still_is_not_taken_for_a_silence() -> None:
    """The answer came meanwhile, and waits for its turn as the timer does."""
    daemon = Daemon(answers=False)
    await until(lambda: daemon.asked)
    answering = threading.Timer(AFTER / 2, current_port().call_from_thread, [daemon.answer])
    answering.start()
    time.sleep(3 * AFTER)  # noqa: ASYNC251 - that is what is tested
    answering.join()  # however late the machine let it
    await until(lambda: daemon.asked > 1)
    daemon.pulse.stop()
    assert daemon.told == []


@pytest.mark.parametrize(
    "anyio_backend", [BACKENDS["asyncio"], BACKENDS["uvloop"]], ids=["asyncio", "uvloop"], scope="function"
)
async def test_program_that_cancels_all_tasks_does_not_end_it() -> None:
    """Not even where it comes before the question has begun."""
    daemon = Daemon()
    loop = asyncio.get_running_loop()
    made: list[asyncio.Task[Any]] = []

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(asyncio.Task(coro, loop=loop, **options))
        made[-1].cancel()
        return made[-1]

    loop.set_task_factory(factory)
    await until(lambda: made)
    loop.set_task_factory(None)
    assert daemon.asked == 0
    await until(lambda: daemon.asked)
    daemon.pulse.stop()


async def test_stopped_pulse_tells_nothing_more() -> None:
    """Also of a question under way."""
    daemon = Daemon(answers=False)
    await until(lambda: daemon.asked)
    daemon.pulse.stop()
    told = list(daemon.told)  # nothing, unless it took us long to come to this
    await anyio.sleep(3 * AFTER)
    await turns()
    assert daemon.told == told
