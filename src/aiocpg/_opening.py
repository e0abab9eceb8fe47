"""What ``connect`` and ``join`` return: something to await, or to enter with ``async with``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import FrameType, TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T", bound="AbstractAsyncContextManager[Any]")


class Opening(Generic[T]):
    """
    An object about to be opened.

    ``await`` it to have the object, which then is yours to close; or enter it with ``async with``, which closes.
    Nothing happens before one or the other. Each use opens anew.
    """

    def __init__(self, open_: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._open = open_
        self._entered: list[T] = []

    def __await__(self) -> Generator[Any, Any, T]:
        return self._open().__await__()

    async def __aenter__(self) -> T:
        opened = await self._open()
        self._entered.append(opened)
        return opened

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._entered.pop().__aexit__(exc_type, exc, traceback)


def caller() -> str:
    """``file:line`` of the nearest frame outside this package, for saying where something was opened."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "aiocpg":
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "somewhere"
