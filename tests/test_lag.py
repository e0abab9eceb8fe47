"""The watch over the loop: a loop that stood still is counted and logged, a busy one is not."""

from __future__ import annotations

import gc
import logging
import time
import weakref
from collections.abc import Callable
from typing import cast

import anyio
import pytest

from aiocpg import _lag
from aiocpg._lag import LagWatch
from aiocpg._loop import LoopPort, current_port
from support.running import turns, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, so that the test is short."""
    monkeypatch.setattr(_lag, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(_lag, "LAG_SECONDS", 0.1)


async def test_loop_that_stood_still_is_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With how long; the machine may make it stand still some more."""
    watch = LagWatch(current_port())
    await anyio.sleep(0.03)
    for stood in (1, 2):
        time.sleep(0.3)  # noqa: ASYNC251 - that is what must be noticed
        await until(lambda stood=stood: watch.lags >= stood)  # type: ignore[misc]
    watch.stop()
    told = [record.levelno for record in caplog.records if "stood still" in record.message]
    assert told == [logging.WARNING] * watch.lags


class Clock:
    """
    A loop with time that passes when it is told to.

    Attributes:
        now: Seconds.
        due: What is to be called.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.due: list[Callable[[], None]] = []

    def time(self) -> float:
        """Tell it."""
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None], crashed: object) -> Clock:
        """Keep it."""
        self.due.append(callback)
        return self

    def cancel(self) -> None:
        """Forget what is due."""
        self.due.clear()

    def goes_round(self, seconds: float) -> None:
        """Let so much time pass, and then the loop go round once."""
        self.now += seconds
        self.due.pop(0)()


def test_each_standstill_is_counted_once() -> None:
    """A beat in time or a little late is none."""
    clock = Clock()
    watch = LagWatch(cast("LoopPort", clock))
    for seconds, lags in ((0.01, 0), (0.1, 0), (0.2, 1), (0.01, 1), (5, 2), (0.01, 2)):
        clock.goes_round(seconds)
        assert watch.lags == lags
    watch.stop()
    assert clock.due == []


async def test_watch_that_was_stopped_looks_no_more() -> None:
    """Stopping again does nothing."""
    watch = LagWatch(current_port())
    watch.stop()
    watch.stop()
    time.sleep(0.2)  # noqa: ASYNC251 - nobody shall notice
    await anyio.sleep(0.02)
    assert watch.lags == 0


async def test_watch_that_nobody_holds_goes() -> None:
    """Its timer does not keep it alive."""
    watch = LagWatch(current_port())
    gone = weakref.ref(watch)
    await turns()
    del watch
    gc.collect()
    assert gone() is None
    await anyio.sleep(0.05)
