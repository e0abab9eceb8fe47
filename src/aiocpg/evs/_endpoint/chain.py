"""The chain of a view: which frames were processed in it, as one number for each count."""

from __future__ import annotations

from zlib import crc32

KEPT = 4096
"""Values behind the newest that are kept at least. An older triple is accepted by nobody."""

_SLACK = 4096


class Chain:
    """
    A checksum of the identities of the first ``count`` frames, for every count that may still be asked for.

    Attributes:
        count: Frames so far.
        value: The checksum of all of them.
    """

    __slots__ = ("_first", "_forgotten", "_values", "count", "value")

    def __init__(self) -> None:
        self.count = 0
        self.value = 0
        self._values: list[int] = []
        self._forgotten = 0  # how many of the first values are not in the list any more
        self._first = 1  # the lowest count that is answered

    def add(self, identity: bytes) -> int:
        """Count one more frame; returns its place."""
        self.value = crc32(identity, self.value)
        self._values.append(self.value)
        self.count += 1
        return self.count

    def has(self, count: int, value: int) -> bool:
        """Whether the first ``count`` frames have this checksum."""
        return self._first <= count <= self.count and self._values[count - self._forgotten - 1] == value

    def forget(self, unstable: int | None) -> None:
        """
        Answer no more for what is older than the first unstable message and than the newest ``KEPT`` frames.

        All members forget at the same frame, or one would accept what another does not.
        """
        first = self.count - KEPT
        if unstable is not None and unstable < first:
            first = unstable
        if first <= self._first:
            return
        self._first = first
        superfluous = first - 1 - self._forgotten
        if superfluous > _SLACK:
            del self._values[:superfluous]
            self._forgotten += superfluous
