"""A coroutine of the engine's on a task of its own, so that a check outlives one that neither ends nor can be ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

T = TypeVar("T")


class Call(Generic[T]):
    """
    One call.

    Attributes:
        what: Its name, for people.
        has_ended: Whether it is over, in whatever way.
        was_cancelled: Whether it ended by being cancelled.
        error: What it raised.
    """

    def __init__(self, what: str, function: Callable[[], Awaitable[T]]) -> None:
        self.what = what
        self.has_ended = False
        self.was_cancelled = False
        self.error: Exception | None = None
        self._function = function
        self._results: list[T] = []
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Make the call; raises nothing that the call raises."""
        try:
            with self._scope:
                self._results.append(await self._function())
        except Exception as error:  # noqa: BLE001 - the check asks for it
            self.error = error
        finally:
            self.was_cancelled = self._scope.cancelled_caught
            self.has_ended = True

    def cancel(self) -> None:
        """Ask it to end."""
        self._scope.cancel()

    def result(self) -> T:
        """What it returned; raises what it raised. Only when it has ended and was not cancelled."""
        if self.error is not None:
            raise self.error
        return self._results[0]

    def __str__(self) -> str:
        if not self.has_ended:
            return f"{self.what} has not ended"
        if self.was_cancelled:
            return f"{self.what} was cancelled"
        return f"{self.what} returned" if self.error is None else f"{self.what} raised {self.error!r}"
