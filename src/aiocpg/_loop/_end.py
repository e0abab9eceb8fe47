"""Notice of the end of a loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable
from contextlib import suppress

from ._port import Callback


class LoopEnd:
    """
    Calls ``callback`` in the loop while the loop is being shut down, unless cancelled before.

    Loops close the asynchronous generators that are still open when they end, which is the only notice of the end that
    all of them give. So one generator waits for it.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback: Callback | None = callback
        self._generator = self._wait()
        _step(self._generator.__anext__())

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            # Let go of it first: what it does may well cancel this, and a generator cannot be closed while it runs.
            callback, self._callback = self._callback, None
            if callback is not None:
                callback()

    def cancel(self) -> None:
        """Do not call. Repeating does nothing."""
        if self._callback is not None:
            self._callback = None
            _step(self._generator.aclose())


def _step(awaitable: Awaitable[None]) -> None:
    """Run an awaitable that never waits."""
    with suppress(StopIteration):
        awaitable.__await__().send(None)
