"""The life of a membership: it comes about, comes back when lost, leaves with everything sent, or is given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from aiocpg._comeback import Comeback
from aiocpg._group._pump import Pump
from aiocpg._place import Place
from aiocpg._statistics import GroupState, GroupStatistics
from aiocpg.engine._base import Membership
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError, GroupClosedError

Done: TypeAlias = Callable[[Membership], object]
GivenUp: TypeAlias = Callable[[CPGError], object]
WayBack: TypeAlias = Callable[[Done, GivenUp], Comeback[Membership]]
"""Begins to ask for another membership of the same group, and tells the outcome."""


class Life:
    """
    One membership from its join to its end, whatever daemons come and go meanwhile.

    Args:
        membership: What the engine has joined.
        place: Where it belongs.
        max_buffered_bytes: What may pile up for the first reader.
        ended: Told once when everything was given back.
        way_back: How to join again after a loss; None where a loss is the end.

    Attributes:
        pump: Its events, readers and senders.
        place: Where it belongs.
    """

    def __init__(
        self,
        membership: Membership,
        place: Place,
        max_buffered_bytes: int,
        ended: Callable[[Life], object],
        way_back: WayBack | None = None,
    ) -> None:
        self.place = place
        self._way_back = way_back
        self._comeback: Comeback[Membership] | None = None
        go_back = None if way_back is None else self._go_back
        self.pump = Pump(membership, max_buffered_bytes, place.check, self.check_open, go_back)
        self._ended = ended

    @property
    def membership(self) -> Membership:
        """The engine's side; after a loss the lost one, until there is another."""
        return self.pump.membership

    @property
    def is_open(self) -> bool:
        """Whether this side is a member, or is coming back, and has not begun to leave."""
        return not self.pump.ended and not self.pump.is_leaving

    @property
    def state(self) -> GroupState:
        """Where it stands."""
        pump = self.pump
        if pump.ended:
            return "closed" if pump.error is None else "lost"
        if pump.is_leaving:
            return "leaving"
        if pump.is_away:
            return "away"
        return "joining" if pump.is_joining else "member"

    @property
    def statistics(self) -> GroupStatistics:
        """See :meth:`Group.statistics`."""
        pump, history, sender = self.pump, self.pump.history, self.pump.sender
        sent = sender.sent
        buffered_events, buffered_bytes = pump.hub.buffered
        return GroupStatistics(
            group=history.group,
            member=history.me,
            state=self.state,
            sent=sent.total,
            sent_bytes=sent.payload,
            delivered=history.position,
            delivered_bytes=history.payload,
            in_flight=len(sent),
            in_flight_bytes=sent.bytes,
            lost=sent.lost,
            congestion_waits=sender.congestion_waits,
            window_waits=sender.window_waits,
            buffered_events=buffered_events,
            buffered_bytes=buffered_bytes,
            slow_losses=pump.hub.losses,
            view_changes=0 if history.view is None else history.view.number,
            gaps=pump.gaps,
            batch_size=pump.batches.snapshot(),
            delivery_seconds=sender.timing.seconds.snapshot(),
        )

    @property
    def is_waiting(self) -> bool:
        """Whether something of ours waits for the daemon."""
        pump = self.pump
        return not pump.ended and (pump.is_leaving or pump.is_joining or pump.is_away or pump.sender.is_waiting)

    def check_open(self) -> None:
        """Raise why nothing new can be done, if so."""
        self.place.check()
        pump = self.pump
        if pump.ended or pump.is_leaving:
            raise GroupClosedError(self.membership.name) if pump.error is None else pump.error.fresh()

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
        if self.pump.is_joining or self.pump.is_away:
            # There is nothing to leave. Asking would spin in libcpg until the join is complete (lib/cpg.c, cpg_leave).
            self.abandon()
            return
        try:
            if self.is_open:
                self.pump.begin_leaving()
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

    def _go_back(self) -> None:
        assert self._way_back is not None
        self._comeback = self._way_back(self.pump.attach, self.give_up)

    def give_up(self, error: CPGError) -> None:
        """There is no way back: readers and senders get this error, and nothing is left to close."""
        self._stop_coming_back()
        self.pump.give_up(error)
        self._ended(self)

    def abandon(self) -> None:
        """End at once: readers end, others see this member go with PROCDOWN."""
        self._stop_coming_back()
        self.pump.close()
        self.membership.abandon()
        self._ended(self)

    def _stop_coming_back(self) -> None:
        if self._comeback is not None:
            self._comeback.cancel()
            self._comeback = None
