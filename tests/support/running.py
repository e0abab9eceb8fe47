"""What tests on an event loop share: a loop that ends within the test, waiting for what nothing announces, a stop."""

from __future__ import annotations

import contextlib
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import anyio
import anyio.lowlevel

from aiocpg import Connection
from aiocpg.testing import ClusterNode
from support.loops import Backend

T = TypeVar("T")

PATIENCE = 30
"""Seconds until a wait gives up."""


def run_in(backend: Backend, function: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    """Run a coroutine function on a loop of this kind, from its beginning to its end."""
    name, options = backend if isinstance(backend, tuple) else (backend, {})
    return anyio.run(function, *arguments, backend=name, backend_options=options)


async def in_thread(function: Callable[[], T]) -> T:
    """Call a function in a thread of its own and wait for it; raises what it raises."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            outcome.set_result(function())
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    await until(outcome.done)
    return outcome.result()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that nothing announces, while the loop runs on."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - that is what this is for
            await anyio.sleep(0.001)


@types.coroutine
def cancelling(call: Coroutine[Any, Any, T], scope: anyio.CancelScope, moment: int) -> Generator[Any, Any, T]:
    """Make a call, and cancel the scope around it when it waits for the ``moment``-th time, counted from 1."""
    step: Callable[[Any], Any] = call.send
    argument: Any = None
    while True:
        try:
            waits_for = step(argument)
        except StopIteration as end:
            result: T = end.value
            return result
        moment -= 1
        if moment == 0:
            scope.cancel()
        try:
            step, argument = call.send, (yield waits_for)
        except BaseException as error:  # noqa: BLE001 - it is thrown on
            step, argument = call.throw, error


async def gone(cpg: Connection, group: str) -> None:
    """Wait until nobody is in a group."""
    with anyio.fail_after(PATIENCE):
        while await cpg.members(group):  # noqa: ASYNC110 - that is what this is for
            await anyio.sleep(0.001)


async def turns(count: int = 5) -> None:
    """Let the loop go round a few times, so that what is due has happened."""
    for _ in range(count):
        await anyio.lowlevel.checkpoint()


class Ticker:
    """
    A task that counts the turns it gets beside another.

    Attributes:
        count: So many turns so far.
    """

    def __init__(self) -> None:
        self.count = 0

    async def run(self) -> None:
        """Count until cancelled."""
        while True:
            self.count += 1
            await anyio.lowlevel.checkpoint()


@contextlib.contextmanager
def stopped(node: ClusterNode) -> Iterator[None]:
    """Hold a node's daemon for the duration; it runs on afterwards, if it is still there."""
    node.stop()
    try:
        yield
    finally:
        node.cont()
