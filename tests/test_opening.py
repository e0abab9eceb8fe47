"""What ``connect`` and ``join`` return: awaited it opens, entered it opens and closes, untouched it does nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import anyio
import pytest

from aiocpg import Opening
from aiocpg._opening import caller

pytestmark = pytest.mark.anyio


class Door:
    """Something that is opened and closed, and writes down both."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        log.append("open")

    async def __aenter__(self) -> Door:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.log.append(f"close {exc_type.__name__ if exc_type else 'well'}")


def opening(log: list[str]) -> Opening[Door]:
    """Return an opening of a door."""

    async def open_() -> Door:
        await anyio.lowlevel.checkpoint()
        return Door(log)

    return Opening(open_)


async def test_nothing_happens_when_it_is_not_used() -> None:
    """No coroutine is made that would have to be awaited."""
    log: list[str] = []
    opening(log)
    assert log == []


async def test_await_opens_and_leaves_closing_to_the_caller() -> None:
    """``cpg = await connect()``."""
    log: list[str] = []
    door = await opening(log)
    assert isinstance(door, Door)
    assert log == ["open"]


async def test_async_with_opens_and_closes() -> None:
    """``async with connect() as cpg``; the object is what was opened, not the opening."""
    log: list[str] = []
    async with opening(log) as door:
        assert isinstance(door, Door)
        assert log == ["open"]
    assert log == ["open", "close well"]


async def test_async_with_tells_the_object_of_the_error() -> None:
    """The object decides what closing behind an error means; the error goes on."""
    log: list[str] = []
    with pytest.raises(KeyError):
        async with opening(log):
            raise KeyError
    assert log == ["open", "close KeyError"]


async def test_each_use_opens_anew() -> None:
    """Nested uses of one opening close in the order of nesting."""
    log: list[str] = []
    twice = opening(log)
    async with twice as outer, twice as inner:
        assert outer is not inner
    await twice
    assert log == ["open", "open", "close well", "close well", "open"]


def test_caller_is_the_nearest_frame_outside_the_package() -> None:
    """``file:line`` of whoever called into the library."""
    here: dict[str, Any] = {"__name__": "aiocpg._something", "caller": caller}
    exec("def inside():\n    return caller()", here)
    assert here["inside"]() == f"{__file__}:{_line()}"


def _line() -> int:
    return test_caller_is_the_nearest_frame_outside_the_package.__code__.co_firstlineno + 4
