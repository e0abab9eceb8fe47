"""What an endpoint counts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counts:
    """
    Counters of one endpoint, from the first join of its domain on.

    Attributes:
        frames: Frames of members that came, by kind.
        sent: Frames that were sent, by kind.
        dropped: Frames that were dropped, by what was wrong with them: ``stranger`` for a sender that is no member,
            ``duplicate``, ``altered`` for one of our own that was never sent so, or the word of the
            :class:`MalformedError`.
        stale: Triples that were of no view at hand.
        gaps: How often frames of a member were missing before one that came.
        divergences: How often this endpoint found that it had missed something.
        evictions: Evictions that were seen, of whomever.
        stalls: How often something stalled.
        disagreeing: Frames of members that have chosen otherwise for ``strict_views``.
    """

    frames: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    stale: int = 0
    gaps: int = 0
    divergences: int = 0
    evictions: int = 0
    stalls: int = 0
    disagreeing: int = 0
