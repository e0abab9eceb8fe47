"""
Waiting, told once and done in two ways: a generator that yields where it would sleep, and its runners.

What is waited for stands in the generators (of the cluster and of the nodes); how to wait stands here, for a thread
and for a coroutine on any loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import closing
from typing import TypeAlias, TypeVar

import anyio

T = TypeVar("T")

INTERVAL = 0.005
"""Seconds between two looks."""

Steps: TypeAlias = Generator[None, None, T]
"""Looks once per step; what it returns is the outcome. Closing it gives up and tidies."""


def wait(steps: Steps[T]) -> T:
    """Block this thread until the steps are done."""
    with closing(steps):
        while True:
            try:
                next(steps)
            except StopIteration as done:
                outcome: T = done.value
                return outcome
            time.sleep(INTERVAL)


async def until(steps: Steps[T]) -> T:
    """Wait until the steps are done, while the loop runs on. Cancelling gives up between two steps."""
    with closing(steps):
        while True:
            await anyio.lowlevel.checkpoint()
            try:
                next(steps)
            except StopIteration as done:
                outcome: T = done.value
                return outcome
            await anyio.sleep(INTERVAL)


def in_thread(function: Callable[[], T]) -> Steps[T]:
    """Call a function that blocks in a daemon thread of its own. Who gives up leaves the thread to its work."""
    outcome = start_thread(function)
    while not outcome.done():
        yield
    return outcome.result()


def start_thread(function: Callable[[], T]) -> Future[T]:
    """Start a daemon thread for one call; the future has what it returned or raised."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            outcome.set_exception(error)

    threading.Thread(target=run, name="aiocpg testing", daemon=True).start()
    return outcome
