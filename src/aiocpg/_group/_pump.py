"""
Between an engine's membership and the people who hold a group: drains, tells readers and senders, notices the end.

A membership ends in one of four ways, and only once: we left (readers end), the engine was lost, the group saw us go
although we did not leave, or this side closed without waiting for its own departure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import anyio

from aiocpg._events import ConfigurationChange, Event, Reason, View
from aiocpg._group._sender import Sender
from aiocpg._hub import Hub
from aiocpg._state.history import History, Phase
from aiocpg.engine._base import Membership
from aiocpg.errors import ConnectionLostError, CPGError, GroupClosedError, MembershipLostError, MessageLostError

log = logging.getLogger("aiocpg")


class Pump:
    """
    Moves one membership's events.

    Attributes:
        history: The membership so far.
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
    ) -> None:
        self.membership = membership
        self.history = History(membership.name, membership.me)
        self.hub: Hub[Event] = Hub(max_buffered_bytes, self._in_force, usable)
        self.sender = Sender(membership, raise_closed)
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

    @property
    def is_joining(self) -> bool:
        """Whether there is no view yet."""
        return self.history.view is None

    async def until_ended(self) -> None:
        """Wait for the end, of whatever kind."""
        while not self.ended:
            await self._turning_point.wait()

    def on_readable(self) -> None:
        """See :class:`aiocpg.engine._base.Listener`."""
        if self.ended:
            return
        was_joining = self.is_joining
        events = self.history.take(self.membership.drain())
        if events:
            self.hub.publish(events)
        own = self.history.take_own()
        if own:
            self.sender.delivered(own)
        if self.history.phase is Phase.GONE:
            self._gone()
        elif was_joining and not self.is_joining:
            log.debug("= %r: joined as %s", self.membership.name, self.membership.me)
            self._turn()

    def on_writable(self) -> None:
        """See :class:`aiocpg.engine._base.Listener`."""
        self.sender.wake()

    def on_lost(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine._base.Listener`."""
        self._lose(error, fate=error)

    def close(self) -> None:
        """This side gives up without waiting for its departure; readers end, the fate of what is out is unknown."""
        if not self.ended:
            closed = GroupClosedError(self.membership.name)
            self._finish(None, closed, closed)

    def _gone(self) -> None:
        name = self.membership.name
        reason = self.history.gone_by or Reason.UNDEFINED
        if self.is_leaving and reason is Reason.LEAVE:
            log.debug("= %r: left", name)
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
            log.log(logging.WARNING if ours else logging.DEBUG, "! group %r: %s", self.membership.name, error)
            self._finish(error, error, fate)
            # What is lost is given back now: nobody may ever close it, and a dead descriptor stays readable.
            self.membership.abandon()

    def _finish(self, error: CPGError | None, send_error: CPGError, fate: CPGError) -> None:
        self.ended = True
        self.error = error
        self.hub.end(error)
        self.sender.end(send_error, fate)
        self._turn()

    def _turn(self) -> None:
        reached, self._turning_point = self._turning_point, anyio.Event()
        reached.set()

    def _in_force(self) -> Sequence[Event]:
        view = self.history.view
        if view is None:
            return ()
        change = ConfigurationChange(view.group, self.history.members, (), ())
        return change, View(view.group, view.members, {}, {}, view.ring_id, view.number, view.position)
