"""When an endpoint has to acknowledge by a frame of its own, because none of its messages carries that along."""

from __future__ import annotations

from typing import NamedTuple


class Bulk(NamedTuple):
    """
    What counts as one of many: an acknowledgement of each costs Corosync more than the message itself.

    Corosync's token runs round at full speed for some thirty rounds behind whatever is sent, so that a few frames too
    many in a second take a core (measured: a SAFE stream of three members had 0.7 of the rate of AGREED with an
    acknowledgement of each frame, and more than 0.8 with these numbers). Who sends so much waits for its window, not
    for a single message.

    Attributes:
        frame: Bytes of messages in a frame from which on it is one, if there are
        before: so many SAFE frames of its sender before it that not everybody has acknowledged.
        size: After so many bytes in such frames an acknowledgement is due at once,
        seconds: and for fewer after so long.
    """

    frame: int = 32 * 1024
    before: int = 1
    size: int = 384 * 1024
    seconds: float = 0.01


BULK = Bulk()


class AckPace:
    """
    Keeps the pace of bare acknowledgements.

    There is never more than one on its way, so that under load one acknowledges all that came meanwhile, and a lone
    message is acknowledged at once.

    Args:
        interval: Least seconds between two.
        bulk: What may wait a little.

    Attributes:
        is_owed: Whether something came that our newest word does not acknowledge.
    """

    def __init__(self, interval: float, bulk: Bulk) -> None:
        self._interval = interval
        self._bulk = bulk
        self._earliest = float("-inf")
        self._waits_from: float | None = None
        self._size = 0
        self._is_all_bulk = True
        self.seq = 0
        self.is_owed = False

    def owe(self, size: int, before: int) -> None:
        """
        Something came that is to be acknowledged.

        Args:
            size: Bytes of its frame.
            before: SAFE frames of the same sender that not everybody has acknowledged.
        """
        self.is_owed = True
        self._size += size
        self._is_all_bulk &= size >= self._bulk.frame and before >= self._bulk.before

    def settle(self) -> None:
        """Our word goes out, in whatever frame, or nothing is to be acknowledged any more."""
        self.is_owed = False
        self._waits_from = None
        self._size = 0
        self._is_all_bulk = True

    def say(self, seq: int, now: float) -> None:
        """It goes out in a frame for that alone."""
        self.seq = seq
        self._earliest = now + self._interval

    def look(self, now: float) -> None:
        """This is the time; what is owed now counts from here at the latest."""
        if self.is_owed and self._waits_from is None:
            self._waits_from = now

    @property
    def due_at(self) -> float:
        """When a bare acknowledgement of what is owed may go out; in the past where that is now."""
        if not self._is_all_bulk or self._size >= self._bulk.size or self._waits_from is None:
            return self._earliest
        return max(self._earliest, self._waits_from + self._bulk.seconds)
