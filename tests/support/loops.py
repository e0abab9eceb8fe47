"""
The three event loops the suite runs on, and the guard that a test runs on the one its id names.

Two plugins can run an ``async def`` test. When a test carries the markers of both, its ids still say uvloop and trio,
and pytest-asyncio runs every one of them on stock asyncio. So the guard looks from inside the test: it stands in
for the test function and compares the running loop with the backend before the body starts.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import pytest
import trio

Backend: TypeAlias = str | tuple[str, dict[str, Any]]
"""What anyio's plugin takes: a name, or a name and options."""

TestFunction: TypeAlias = Callable[..., Awaitable[None]]

BACKENDS: dict[str, Backend] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}
"""Test id -> backend."""


def loop_of(backend: Backend) -> str:
    """Return the id of the loop that a backend asks for."""
    name, options = backend if isinstance(backend, tuple) else (backend, {})
    return "uvloop" if options.get("use_uvloop") else name


def running_loop() -> str:
    """Return the id of the loop this code runs on, ``none`` outside of any."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return "trio" if trio.lowlevel.in_trio_run() else "none"
    return "uvloop" if type(loop).__module__.partition(".")[0] == "uvloop" else "asyncio"


def checking_its_loop(function: TestFunction, *, expected: str) -> TestFunction:
    """Wrap a test function so that it looks at its loop first."""

    @functools.wraps(function)
    async def checked(*args: Any, **kwargs: Any) -> None:
        actual = running_loop()
        if actual != expected:
            pytest.fail(f"the id of this test says {expected}, it runs on {actual}: is it marked for two plugins?")
        await function(*args, **kwargs)

    return checked


@contextmanager
def wrapped(item: pytest.Function, wrapper: Callable[[TestFunction], TestFunction]) -> Iterator[None]:
    """Have ``item`` run its test function in a wrapper, if that is a coroutine function. It is put back at the end."""
    holder, attribute = _place_of_the_function(item)
    original = getattr(holder, attribute)
    if not inspect.iscoroutinefunction(original):
        yield
        return
    setattr(holder, attribute, wrapper(original))
    try:
        yield
    finally:
        setattr(holder, attribute, original)


def _place_of_the_function(item: pytest.Function) -> tuple[Any, str]:
    # Hypothesis keeps the real function inside, and there the plugins look for it.
    hypothesis = getattr(item.obj, "hypothesis", None)
    return (item, "obj") if hypothesis is None else (hypothesis, "inner_test")
