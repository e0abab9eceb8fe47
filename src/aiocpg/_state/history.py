"""
The history of one membership: from what an engine drains to the events that readers get.

Phases: *joining* (only rings count, the last is kept), *member* (from the change that lists us as joined), *gone*
(after the change that lists us as left; whatever a handle delivers later is not ours any more, and libcpg does
deliver more).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from itertools import groupby, repeat
from operator import countOf
from typing import Any, TypeAlias

from aiocpg._events import Address, ConfigurationChange, Event, Message, Reason, RingChange, View
from aiocpg._state.views import ViewFolder

Record: TypeAlias = tuple[Address, bytes] | ConfigurationChange | RingChange
"""What an engine drains: a message as (sender, data), or a change."""


# Half the cost of Message(...).
_make: Any = tuple.__new__


class Phase(enum.Enum):
    """Where a membership stands."""

    JOINING = "joining"
    MEMBER = "member"
    GONE = "gone"


class History:
    """
    Numbers messages, folds views, and knows when we came and went.

    After a loss the next membership goes on in the same history: :meth:`break_off`, then :meth:`resume_as`.

    Attributes:
        group: The group's name.
        me: Our address; after a loss the one that is lost, until there is another.
        phase: Where the membership stands.
        has_view: Whether the present membership has come to its first view.
        position: Messages so far.
        payload: Bytes of payload of these.
        gone_by: The reason of our departure, once gone.
        ring: The newest ring, also from before our join.
        members: The newest member list.
        view: The newest view.
        own: Own messages since the last :meth:`take_own`, as they came back.
    """

    def __init__(self, group: bytes, me: Address) -> None:
        self.group = group
        self.me = me
        self._views = ViewFolder(group)
        self.phase = Phase.JOINING
        self.has_view = False
        self.position = 0
        self.payload = 0
        self.gone_by: Reason | None = None
        self.ring: RingChange | None = None
        self.members: tuple[Address, ...] = ()
        self.view: View | None = None
        self.own: list[Message] = []

    def take(self, records: Sequence[Record]) -> list[Event]:
        """The events that these records make, in order."""
        if len(records) == 1 and self.phase is Phase.MEMBER and self._views.pending is None:
            record = records[0]
            if type(record) is tuple:
                return [self._message_alone(*record)]
        events: list[Event] = []
        if countOf(map(type, records), tuple) == len(records):  # nearly always
            self._messages(records, events)
            return events
        for kind, run in groupby(records, type):
            if self.phase is Phase.GONE:
                break
            if kind is tuple:
                self._messages(list(run), events)
            else:
                self._changes(run, events)
        return events

    def _message_alone(self, sender: Address, data: bytes) -> Message:
        # Who waits for a message waits for all of this, and it is slow, for the caches are cold.
        self.position += 1
        self.payload += len(data)
        message: Message = _make(Message, (self.group, sender, data, self.position, self.view))
        if sender == self.me:
            self.own.append(message)
        return message

    def _changes(self, run: Iterable[Record], events: list[Event]) -> None:
        for record in run:
            if self.phase is Phase.GONE:
                break
            if isinstance(record, ConfigurationChange):
                self._change(record, events)
            elif isinstance(record, RingChange):
                self._new_ring(record, events)

    def break_off(self) -> None:
        """The membership is lost. Numbers go on with the next one; its members and its ring are its own."""
        self.phase = Phase.JOINING
        self.has_view = False
        self.ring = None
        self.own = []
        self._views.break_off()

    def resume_as(self, me: Address) -> None:
        """What comes now is of another membership, ours under this address."""
        self.me = me

    def take_own(self) -> list[Message]:
        """Own messages that came back since the last call."""
        own, self.own = self.own, []
        return own

    def _messages(self, run: Sequence[Any], events: list[Event]) -> None:
        """Messages with nothing between them. They are made all at once: nothing else is done as often."""
        if self.phase is not Phase.MEMBER or not run:
            return
        if self._views.pending is not None:
            self._append(events, self._views.close(self.position))
        view = self.view
        assert view is not None  # a member has at least the view of its own join
        first, me = self.position + 1, self.me
        self.position += len(run)
        senders, payloads = zip(*run, strict=True)
        self.payload += sum(map(len, payloads))
        numbers = range(first, self.position + 1)
        messages = list(map(_make, repeat(Message), zip(repeat(self.group), senders, payloads, numbers, repeat(view))))
        events += messages
        if senders.count(me) == len(messages):
            self.own += messages
        else:
            self.own += [message for message in messages if message.sender == me]

    def _change(self, change: ConfigurationChange, events: list[Event]) -> None:
        joins_us = self.phase is Phase.JOINING
        if joins_us:
            if not any(entry.address == self.me for entry in change.joined):
                return
            self.phase = Phase.MEMBER
        self.members = change.members
        events.append(change)
        if joins_us and self.ring is not None:
            self._views.ring(self.ring, self.position)
            events.append(self.ring)
        self._append(events, self._views.change(change, self.position))
        self._look_for_us(change, events)

    def _look_for_us(self, change: ConfigurationChange, events: list[Event]) -> None:
        for address, reason in change.left:
            # A node that was away may see itself listed among those who left; it is gone only if it is no member now.
            if address == self.me and self.me not in change.members:
                self.phase = Phase.GONE
                self.gone_by = reason
                self._append(events, self._views.close(self.position))

    def _new_ring(self, change: RingChange, events: list[Event]) -> None:
        if change == self.ring:
            return  # the one known before our join, which comes again behind it
        self.ring = change
        if self.phase is Phase.MEMBER:
            events.append(change)
            self._append(events, self._views.ring(change, self.position))

    def _append(self, events: list[Event], view: View | None) -> None:
        if view is not None:
            self.has_view = True
            self.view = view
            events.append(view)
