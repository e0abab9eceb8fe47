"""
Own messages between being taken and coming back: the send window, and which of them were lost.

The daemon may drop a message after taking it, and says so to nobody. Corosync keeps a sender's order, so when an own
message comes back every one sent before it and still missing is lost. Content tells which one came back; among equal
messages the first is taken to be the one, so that the last counts as lost.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import accumulate, repeat, starmap
from operator import eq
from typing import Generic, TypeVar

WINDOW = 768 * 1024
"""Bytes of our own that may be on their way. The daemon's event ring holds 1 MiB; past it messages take a path that was
measured at 20 MB/s instead of 1900 MB/s for messages of 1 MB."""

LOW = WINDOW // 2
"""A window that was full opens when no more than this is on its way, so that the tasks that wait for it send several
messages each time they wake: waking one costs as much as five small messages."""

LARGE = WINDOW // 16
"""Bytes from which on a message does not wait for that, but for as much room as it needs."""

OVERHEAD = 192
"""Bytes that a message takes in the daemon's rings besides its payload: 8 of the ring, 184 of CPG's header."""

C = TypeVar("C")


class SentMessages(Generic[C]):
    """
    What was sent and has not come back.

    Each message may carry a confirmation, an object of the caller's that is handed back with the message's fate.

    Attributes:
        bytes: On their way, with the overhead.
        returned: Counts the messages that came back or were found lost.
        lost: Counts those that were found lost, or given up.
        total: Counts the messages that were taken, from the first on.
        payload: Bytes of these. Other threads read both at any moment, so each is a number by itself that only grows:
            what is worked out of several is wrong between two of their changes.
        limit: There is room for what makes no more bytes on their way than this: for who has no time to ask
            :meth:`has_room`, which knows more.
    """

    def __init__(self) -> None:
        self._sent: deque[bytes] = deque()
        # By the number of the message, the first one ever being 0; in their order. Most messages carry nothing.
        self._confirmations: dict[int, C] = {}
        self.bytes = 0
        self.returned = 0
        self.lost = 0
        self.total = 0
        self.payload = 0
        self.limit = WINDOW

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def next_number(self) -> int:
        """The number of the next message, the first one ever being 0."""
        return self.returned + len(self._sent)

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes fits the window; a larger one fits when it is alone."""
        if size < LARGE:
            self.limit = LOW if self.limit == LOW and self.bytes > LOW else WINDOW
        fits = self.bytes + size + OVERHEAD <= (self.limit if size < LARGE else WINDOW)
        if not fits:
            self.limit = LOW
        return fits or not self._sent

    def room_for(self, messages: Sequence[bytes], start: int, most: int) -> int:
        """How many messages from ``start`` on fit the window, ``most`` at the most."""
        if not self.has_room(len(messages[start])):
            return 0
        wanted = messages[start : start + most]
        room = WINDOW - self.bytes
        if _cost(wanted) <= room:
            return len(wanted)
        costs = [len(data) + OVERHEAD for data in wanted]
        return bisect_right(list(accumulate(costs)), room) or int(not self._sent)

    def sent(self, data: bytes, confirmation: C | None = None) -> None:
        """The engine has taken a message: :meth:`expect` and :meth:`count`, which this spells out for each message."""
        if confirmation is not None:
            self._confirmations[self.returned + len(self._sent)] = confirmation
        self._sent.append(data)
        size = len(data)
        self.bytes += size + OVERHEAD
        self.total += 1
        self.payload += size

    def expect(self, data: bytes, confirmation: C | None = None) -> None:
        """The engine is given a message, which may be back before it has answered; :meth:`count` it then."""
        if confirmation is not None:
            self._confirmations[self.next_number] = confirmation
        self._sent.append(data)
        self.bytes += len(data) + OVERHEAD

    def count(self, data: bytes) -> None:
        """It has taken it."""
        self.total += 1
        self.payload += len(data)

    def sent_many(self, messages: Sequence[bytes]) -> None:
        """The engine has taken these, in order."""
        size = _cost(messages)
        self._sent.extend(messages)
        self.bytes += size
        self.total += len(messages)
        self.payload += size - OVERHEAD * len(messages)

    def came_back_in_order(self, messages: Sequence[bytes]) -> int:
        """
        Own messages were delivered: take those, from the first on, that went out in this order and carry nothing.

        Nearly all do, and nothing has to be looked for. Returns how many; the next one is for :meth:`came_back`.
        """
        sent = self._sent
        expected = messages[: min(len(sent), self._before_confirmation)]
        same = list(map(eq, sent, expected))
        count = same.index(False) if False in same else len(same)
        deque(starmap(sent.popleft, repeat((), count)), maxlen=0)  # a loop in C; this is done for each message
        self.bytes -= _cost(messages[:count])
        self.returned += count
        return count

    def came_back_alone(self, data: bytes) -> bool:
        """The same for one message: whether it was the first that went out, and carries nothing."""
        sent = self._sent
        if self._confirmations or not sent or sent[0] != data:
            return False
        sent.popleft()
        self.bytes -= len(data) + OVERHEAD
        self.returned += 1
        return True

    @property
    def _before_confirmation(self) -> int:
        """How many of the first messages carry nothing."""
        return next(iter(self._confirmations)) - self.returned if self._confirmations else len(self._sent)

    def came_back(self, data: bytes) -> tuple[C | None, list[C]]:
        """An own message was delivered: its confirmation, and those of the messages now known to be lost."""
        if self._sent and self._sent[0] == data:
            return self._pop(), []
        place = next((index for index, sent in enumerate(self._sent) if sent == data), None)
        if place is None:
            return None, []  # not one of ours: somebody used the handle past us
        self.lost += place
        lost = [self._pop() for _ in range(place)]
        return self._pop(), [confirmation for confirmation in lost if confirmation is not None]

    def withdraw(self, data: bytes) -> bool:
        """The newest message, which was not counted, was not sent after all. Returns whether it was still there."""
        if not self._sent or self._sent[-1] is not data:
            return False
        self._sent.pop()
        self._confirmations.pop(self.next_number, None)
        self.bytes -= len(data) + OVERHEAD
        return True

    def settle(self) -> list[C]:
        """Nothing more will come back: the confirmations of all that is missing."""
        self.lost += len(self._sent)
        missing = [self._pop() for _ in range(len(self._sent))]
        return [confirmation for confirmation in missing if confirmation is not None]

    def _pop(self) -> C | None:
        confirmation = self._confirmations.pop(self.returned, None)
        self.bytes -= len(self._sent.popleft()) + OVERHEAD
        self.returned += 1
        return confirmation


def _cost(messages: Sequence[bytes]) -> int:
    return sum(map(len, messages)) + OVERHEAD * len(messages)
