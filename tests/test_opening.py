"""What ``connect`` and ``join`` return: awaited it opens, entered it opens and closes, untouched it does nothing."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import anyio.lowlevel
import pytest

from aiocpg import Opening, UsageError
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

    return Opening(open_, "a door")


async def test_nothing_happens_when_it_is_not_used() -> None:
    """Whoever forgot the ``await`` is told so, as with a coroutine."""
    log: list[str] = []
    with pytest.warns(RuntimeWarning, match="was never awaited"):
        opening(log)
    assert log == []


async def test_plain_with_says_what_is_meant() -> None:
    """So does printing it: these are the first things that go wrong."""
    door = opening([])
    with pytest.raises(TypeError, match="use 'async with'"), door:
        pass
    assert repr(door) == "<Opening of a door: await it, or use 'async with'>"
    await door


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
    """One opening can be used again when the use before is over."""
    log: list[str] = []
    door = opening(log)
    async with door as first:
        pass
    async with door as second:
        assert second is not first
    assert log == ["open", "close well"] * 2


async def test_second_entry_is_refused_while_the_first_lasts() -> None:
    """Two tasks that leave in any order could otherwise close each other's object."""
    log: list[str] = []
    door = opening(log)
    async with door:
        with pytest.raises(UsageError, match="entered twice"):
            async with door:
                pass
    assert log == ["open", "close well"]


async def test_opening_that_failed_or_was_cancelled_can_be_tried_again() -> None:
    """Nothing of the attempt before is left."""
    log: list[str] = []
    attempts: list[int] = []

    async def open_() -> Door:
        attempts.append(len(attempts))
        await anyio.lowlevel.checkpoint()
        if len(attempts) == 2:
            raise KeyError
        return Door(log)

    stubborn = Opening(open_)
    with anyio.CancelScope() as scope:
        scope.cancel()
        await stubborn.__aenter__()
    with pytest.raises(KeyError):
        await stubborn.__aenter__()
    async with stubborn:
        pass
    assert (attempts, log) == ([0, 1, 2], ["open", "close well"])


def test_caller_is_the_nearest_frame_outside_the_package() -> None:
    """``file:line`` of whoever called into the library."""
    here: dict[str, Any] = {"__name__": "aiocpg._something", "caller": caller}
    exec("def inside():\n    return caller()", here)
    assert here["inside"]() == f"{__file__}:{_line()}"


def _line() -> int:
    return test_caller_is_the_nearest_frame_outside_the_package.__code__.co_firstlineno + 4
