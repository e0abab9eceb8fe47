"""
Between an engine's membership and the people who hold a group: drains, tells readers and senders, notices the end.

A pump ends in one of four ways, and only once: we left (readers end), the engine was lost, the group saw us go although
we did not leave, or this side closed without waiting for its own departure. With somebody who goes back, the loss of
the engine is no end but a gap: readers and senders stay, and the next membership goes on where the last one broke off.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import anyio

from aiocpg._comeback import for_good, may_pass
from aiocpg._events import Address, ConfigurationChange, Disconnected, Event, Reason, View
from aiocpg._group._log import GroupLog
from aiocpg._group._sender import Sender
from aiocpg._hub import Hub
from aiocpg._state.counts import BATCHES, Buckets
from aiocpg._state.history import History, Phase
from aiocpg.engine._base import Membership
from aiocpg.errors import ConnectionLostError, CPGError, GroupClosedError, MembershipLostError, MessageLostError


class Pump:
    """
    Moves the events of one membership, or of several, one after the other.

    Args:
        membership: The first one.
        max_buffered_bytes: What may pile up for the first reader.
        usable: Raises where readers must not be used, and nothing be sent.
        raise_closed: Raises why nothing can be sent any more, if so.
        go_back: Sees to it that another membership is attached; None where a loss is the end.

    Attributes:
        history: The membership so far.
        log: Writes what is about the group.
        batches: How many messages a drain brings.
        gaps: How often there was a loss to come back from.
        hub: The readers.
        sender: The send side.
        is_leaving: This side has asked to leave, or is about to.
        ended: Whether it is over.
        error: Why, where it was not by leaving.
    """

    def __init__(
        self,
        membership: Membership,
        max_buffered_bytes: int,
        usable: Callable[[], None],
        raise_closed: Callable[[], None],
        go_back: Callable[[], object] | None = None,
    ) -> None:
        self.membership = membership
        self.history = History(membership.name, membership.me)
        self.batches = Buckets(BATCHES)
        self.gaps = 0
        self.log = GroupLog(self.history)
        self.hub: Hub[Event] = Hub(max_buffered_bytes, self._in_force, usable, self._reader_is_slow)
        self.sender = Sender(membership, usable, raise_closed)
        self._go_back = go_back
        self._away: Disconnected | None = None
        self.is_leaving = False
        self.ended = False
        self.error: CPGError | None = None
        self._turning_point = anyio.Event()
        membership.listen(self)

    async def until_joined(self) -> None:
        """
        Wait for our own join and the view it makes, which the ring completes a moment later.

        Raises:
            CPGError: What ended the membership before.
            GroupClosedError: This side gave up meanwhile.
        """
        while self.is_joining and not self.ended:
            await self._turning_point.wait()
        if self.is_joining:
            raise (self.error or GroupClosedError(self.membership.name)).fresh()

    def begin_leaving(self) -> None:
        """This side is about to ask to leave; no call that begins now sends anything."""
        self.is_leaving = True
        self.sender.is_closing = True

    @property
    def is_joining(self) -> bool:
        """Whether there is no view yet."""
        return self.history.view is None

    @property
    def is_away(self) -> bool:
        """Whether the membership was lost, and the next one has not come to its first view."""
        return self._away is not None

    async def until_ended(self) -> None:
        """Wait for the end, of whatever kind."""
        while not self.ended:
            await self._turning_point.wait()

    def on_readable(self) -> None:
        """See :class:`aiocpg.engine._base.Listener`."""
        if self.ended:
            return
        had_view, view, position = self.history.has_view, self.history.view, self.history.position
        events = self.history.take(self.membership.drain())
        own = self.history.take_own()
        if self.history.position > position:
            self.batches.add(self.history.position - position)
        if own:
            self.sender.delivered(own)  # first, so that who reads in the same turn finds the room
        if len(events) == 1:
            self.hub.publish_one(events[0])
        elif events:
            self.hub.publish(events)
        if self.history.view is not view:
            self._log_views(events)
        if self.history.phase is Phase.GONE:
            self._gone()
        elif self.history.has_view and not had_view:
            self._joined()

    def on_writable(self) -> None:
        """See :class:`aiocpg.engine._base.Listener`."""
        self.sender.wake()

    def on_lost(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine._base.Listener`."""
        if self._go_back is not None and not may_pass(error):
            self.give_up(for_good(error))
        elif self._go_back is None or self.is_joining:
            self._lose(error, fate=error)
        elif self.is_leaving:
            self._lose_leaving(error)
        else:
            self._go_away(error, self._go_back)

    def attach(self, membership: Membership) -> None:
        """Go on with this membership, which has been asked for and will tell of our join."""
        self.membership = membership
        self.history.resume_as(membership.me)
        membership.listen(self)

    def give_up(self, error: CPGError) -> None:
        """There is no way back. Readers and senders get this."""
        self._lose(error, fate=error)

    def tell(self, event: Event) -> None:
        """Hand out something that is not of the agreed order, if readers have come to where that makes sense."""
        if self.history.has_view and not self.ended:
            self.hub.publish([event])

    def close(self) -> None:
        """This side gives up without waiting for its departure; readers end, the fate of what is out is unknown."""
        if not self.ended:
            closed = GroupClosedError(self.membership.name)
            self._finish(None, closed, closed)

    def _joined(self) -> None:
        self.log(logging.INFO, "= %r: joined as %s", self.membership.name, self.membership.me)
        if self.is_away:
            self._away = None
            self.sender.attach(self.membership)
        self._turn()

    def _go_away(self, error: CPGError, go_back: Callable[[], object]) -> None:
        self.log(logging.INFO, "! group %r: %s; coming back to it", self.membership.name, error)
        # A loss on the way back is no second gap, unless readers had seen us join.
        if self._away is None or self.history.phase is Phase.MEMBER:
            self.gaps += 1
            self._away = _gap(error)
            self.hub.publish_gap(self._away)
            self.sender.detach(error)
        self.history.break_off()
        self.membership.abandon()
        go_back()

    def _lose_leaving(self, error: CPGError) -> None:
        # Who is leaving wants no way back. The readers end as after a leave, behind the gap.
        if not self.ended:
            self.hub.publish_gap(_gap(error))
            self._finish(None, GroupClosedError(self.membership.name), error)
            self.membership.abandon()

    def _gone(self) -> None:
        name = self.membership.name
        reason = self.history.gone_by or Reason.UNDEFINED
        if self.is_leaving and reason is Reason.LEAVE:
            self.log(logging.INFO, "= %r: left", name)
            # All that was taken before our departure stands before it; what is missing now never comes.
            self._finish(None, GroupClosedError(name), MessageLostError(name))
        else:
            # The daemon still hands to others what this handle sends, behind our departure: the fate is unknown.
            error = MembershipLostError(name, reason.name)
            self._lose(error, fate=error)

    def _lose(self, error: CPGError, fate: CPGError) -> None:
        if not self.ended:
            # A dead daemon is the connection's to warn of, once for all its groups; readers and senders get the error
            # in any case. What only this group met (we were put out, a fault of our own) is warned of here.
            ours = not isinstance(error, ConnectionLostError) or error.__cause__ is not None
            level = logging.WARNING if ours else logging.INFO
            self.log(level, "! group %r: %s", self.membership.name, error)
            self._finish(error, error, fate)
            # What is lost is given back now: nobody may ever close it, and a dead descriptor stays readable.
            self.membership.abandon()

    def _finish(self, error: CPGError | None, send_error: CPGError, fate: CPGError) -> None:
        self.ended = True
        self.error = error
        self.hub.end(error)
        self.sender.end(send_error, fate)
        self._turn()

    def _log_views(self, events: Sequence[Event]) -> None:
        for view in events:
            if isinstance(view, View):
                text = "= %r: view %d of %d members, joined: %s, left: %s"
                numbers, changes = (view.number, len(view.members)), (_named(view.joined), _named(view.left))
                self.log(logging.INFO, text, view.group, *numbers, *changes, view=view)

    def _reader_is_slow(self) -> None:
        self.log(logging.WARNING, "! group %r: a reader is slow, and loses events from here on", self.membership.name)

    def _turn(self) -> None:
        reached, self._turning_point = self._turning_point, anyio.Event()
        reached.set()

    def _in_force(self) -> Sequence[Event]:
        if self._away is not None:
            return (self._away,)
        view = self.history.view
        if view is None:
            return ()
        change = ConfigurationChange(view.group, self.history.members, (), ())
        return change, View(view.group, view.members, {}, {}, view.ring_id, view.number, view.position)


def _named(changes: Mapping[Address, Reason]) -> str:
    return ", ".join(f"{address} {reason.name}" for address, reason in changes.items()) or "nobody"


def _gap(error: CPGError) -> Disconnected:
    return Disconnected(error.reason if isinstance(error, ConnectionLostError) else str(error))
