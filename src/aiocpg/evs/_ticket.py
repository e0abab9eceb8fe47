"""What a send returns: something that learns what became of the message."""

from __future__ import annotations

from collections.abc import Iterable

import anyio

from aiocpg.errors import CPGError
from aiocpg.evs._values import Configuration, Receipt


class Ticket:
    """
    A message that was sent. Nobody needs to keep it; whoever does can wait for the message's outcome.
    """

    # Defaults of the class, and neither slots nor a constructor: one is made for each message, in a third of the time.
    _position = 0
    _configuration: Configuration | None = None
    _error: CPGError | None = None
    _settled: anyio.Event | None = None

    @property
    def is_settled(self) -> bool:
        """Whether the outcome is known."""
        return self._configuration is not None or self._error is not None

    async def delivered(self) -> Receipt:
        """
        Wait until the message was delivered here, with its guarantee, and return where.

        A SAFE message is then with every member of ``receipt.configuration``, regular or transitional. Where it was
        delivered to nobody, or nobody knows, this raises.

        May be awaited by many tasks, in the task that reads, and again later. Waits as long as SAFE is held; use a
        timeout. Cancelling gives up nothing but the waiting.

        Raises:
            MessageLostError: It was delivered nowhere.
            ConnectionLostError: The engine went away while the message was out; its fate is unknown.
            ConnectionClosedError: The endpoint was closed, and ``close_timeout`` was over before its fate was known.
        """
        if not self.is_settled:
            if self._settled is None:
                self._settled = anyio.Event()
            await self._settled.wait()
        if self._error is not None:
            raise self._error.fresh()
        assert self._configuration is not None  # settled is one of the two
        return Receipt(self._position, self._configuration)

    @staticmethod
    def settle(tickets: Iterable[Ticket], first: int, configuration: Configuration) -> None:
        """Messages were delivered one behind the other, the first of them at this position."""
        # All of a frame at once: it is done for each message that is sent.
        for position, ticket in enumerate(tickets, first):
            ticket._position = position
            ticket._configuration = configuration
            if ticket._settled is not None:
                ticket._settled.set()

    def fail(self, error: CPGError) -> None:
        """It was not, or nobody knows."""
        if not self.is_settled:
            self._error = error
            if self._settled is not None:
                self._settled.set()

    def __repr__(self) -> str:
        state = "lost" if self._error else "delivered" if self.is_settled else "under way"
        return f"<Ticket {state}>"
