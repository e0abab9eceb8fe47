"""The life of one membership: it comes about, leaves with everything sent, or is given up."""

from __future__ import annotations

from collections.abc import Callable

from aiocpg._group._pump import Pump
from aiocpg._place import Place
from aiocpg.engine._base import Membership
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, GroupClosedError


class Life:
    """
    One membership from its join to its end.

    Args:
        membership: What the engine has joined.
        place: Where it belongs.
        max_buffered_bytes: What may pile up for the first reader.
        ended: Told once when everything was given back.

    Attributes:
        membership: The engine's side.
        pump: Its events, readers and senders.
        place: Where it belongs.
    """

    def __init__(
        self, membership: Membership, place: Place, max_buffered_bytes: int, ended: Callable[[Life], object]
    ) -> None:
        self.membership = membership
        self.place = place
        self.pump = Pump(membership, max_buffered_bytes, place.check, self.check_open)
        self._ended = ended

    @property
    def is_open(self) -> bool:
        """Whether this side is a member and has not begun to leave."""
        return not self.pump.ended and not self.pump.is_leaving

    def check_open(self) -> None:
        """Raise why nothing new can be done, if so."""
        self.place.check()
        if self.pump.ended and self.pump.error is not None:
            raise self.pump.error.fresh()
        if not self.is_open:
            raise GroupClosedError(self.membership.name)

    async def begin(self) -> None:
        """Wait for our own join. Cancelled or failed, the membership is given up."""
        try:
            await self.pump.until_joined()
        except BaseException:
            self.abandon()
            raise

    async def leave(self) -> None:
        """See :meth:`Group.leave`. Cancelled, the membership is given up."""
        if self.place.is_in_child():
            return
        self.place.check()
        if self.pump.is_joining:
            # Asking to leave would spin in libcpg until the join is complete (lib/cpg.c, cpg_leave).
            self.abandon()
            return
        try:
            if self.is_open:
                self.pump.is_leaving = True
                await self._ask()
            await self.pump.until_ended()
            await self.membership.aclose(hard=self.pump.error is not None)
        except BaseException:
            self.abandon()
            raise
        self._ended(self)

    async def _ask(self) -> None:
        await self.pump.sender.until_idle()
        if not self.pump.ended:
            try:
                await self.membership.leave()
            except (ConnectionLostError, ConnectionClosedError):
                # Readers are told of the end by the pump; for who leaves, gone is gone.
                await self.pump.until_ended()

    def abandon(self) -> None:
        """End at once: readers end, others see this member go with PROCDOWN."""
        self.pump.close()
        self.membership.abandon()
        self._ended(self)
