"""What ``connect`` and ``join`` return: something to await, or to enter with ``async with``."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Coroutine, Generator
from contextlib import AbstractAsyncContextManager
from types import FrameType, TracebackType
from typing import Any, Generic, NoReturn, TypeVar

from aiocpg.errors import UsageError

T = TypeVar("T", bound="AbstractAsyncContextManager[Any]")


class Opening(Generic[T]):
    """
    An object about to be opened.

    ``await`` it to have the object, which then is yours to close; or enter it with ``async with``, which closes.
    Nothing happens before one or the other. Each use opens anew; one ``async with`` at a time.
    """

    def __init__(self, open_: Callable[[], Coroutine[Any, Any, T]], what: str = "something") -> None:
        self._open = open_
        self._what = what
        self._is_used = False
        self._is_entered = False
        self._entered: T | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        self._is_used = True
        return self._open().__await__()

    async def __aenter__(self) -> T:
        if self._is_entered:
            raise UsageError("entered twice at once; call connect() or join() for each `async with`")
        self._is_used = self._is_entered = True
        try:
            self._entered = opened = await self._open()
        except BaseException:
            self._is_entered = False
            raise
        return opened

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        entered, self._entered = self._entered, None
        self._is_entered = False
        if entered is not None:
            await entered.__aexit__(exc_type, exc, traceback)

    def __enter__(self) -> NoReturn:
        raise TypeError(f"{self!r}")

    def __exit__(self, *exc_info: object) -> None:
        """Never reached; the pair makes ``with`` say what is meant."""

    def __repr__(self) -> str:
        return f"<Opening of {self._what}: await it, or use 'async with'>"

    def __del__(self) -> None:
        if not getattr(self, "_is_used", True):
            warnings.warn(f"{self!r} was never awaited", RuntimeWarning, source=self, stacklevel=2)


def caller() -> str:
    """``file:line`` of the nearest frame outside this package, for saying where something was opened."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "aiocpg":
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "somewhere"
