"""
Own messages between being taken and coming back: the send window, and which of them were lost.

The daemon may drop a message after taking it, and says so to nobody. Corosync keeps a sender's order, so when an own
message comes back every one sent before it and still missing is lost. Content tells which one came back; among equal
messages the first is taken to be the one, so that the last counts as lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Generic, TypeVar

WINDOW = 768 * 1024
"""Bytes of our own that may be on their way. The daemon's event ring holds 1 MiB; past it messages take a path that was
measured at 20 MB/s instead of 1900 MB/s for messages of 1 MB."""

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
    """

    def __init__(self) -> None:
        self._sent: deque[tuple[bytes, C | None]] = deque()
        self.bytes = 0
        self.returned = 0

    def __len__(self) -> int:
        return len(self._sent)

    def has_room(self, size: int) -> bool:
        """Whether a message of so many bytes fits the window; a larger one fits when it is alone."""
        return not self._sent or self.bytes + size + OVERHEAD <= WINDOW

    def room_for(self, messages: Sequence[bytes], start: int, most: int) -> int:
        """How many messages from ``start`` on fit the window, ``most`` at the most."""
        room = WINDOW - self.bytes
        count = 0
        for data in islice(messages, start, start + most):
            room -= len(data) + OVERHEAD
            if room < 0:
                break
            count += 1
        return count or int(not self._sent)

    def sent(self, data: bytes, confirmation: C | None = None) -> None:
        """The engine has taken a message."""
        self._sent.append((data, confirmation))
        self.bytes += len(data) + OVERHEAD

    def came_back(self, data: bytes) -> tuple[C | None, list[C]]:
        """An own message was delivered: its confirmation, and those of the messages now known to be lost."""
        if self._sent and self._sent[0][0] == data:
            return self._pop(), []
        place = next((index for index, (sent, _) in enumerate(self._sent) if sent == data), None)
        if place is None:
            return None, []  # not one of ours: somebody used the handle past us
        lost = [self._pop() for _ in range(place)]
        return self._pop(), [confirmation for confirmation in lost if confirmation is not None]

    def withdraw(self, data: bytes) -> None:
        """The newest message was not sent after all."""
        if self._sent and self._sent[-1][0] is data:
            self._sent.pop()
            self.bytes -= len(data) + OVERHEAD

    def settle(self) -> list[C]:
        """Nothing more will come back: the confirmations of all that is missing."""
        missing = [self._pop() for _ in range(len(self._sent))]
        return [confirmation for confirmation in missing if confirmation is not None]

    def _pop(self) -> C | None:
        data, confirmation = self._sent.popleft()
        self.bytes -= len(data) + OVERHEAD
        self.returned += 1
        return confirmation
