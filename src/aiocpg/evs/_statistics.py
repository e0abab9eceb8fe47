"""What an endpoint has counted, as one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiocpg.evs._domain import Domain


@dataclass(frozen=True, slots=True)
class Statistics:
    """
    A snapshot of an endpoint's counters, from its first join on. Costs next to nothing; compare two for a rate.
    """

    delivered: int
    """Messages that were delivered, whatever groups they were for."""
    under_way: int
    """Bytes of own messages that are not delivered here yet."""
    sent: Mapping[str, int]
    """Frames that were sent, by kind: data, ack, probe, request, answer, final, evict."""
    received: Mapping[str, int]
    """Frames of members that came: data, ack, final, evict."""
    dropped: Mapping[str, int]
    """
    Messages of the domain's CPG group that were dropped, by what was wrong: ``stranger`` (its sender is no member),
    ``foreign`` (no frame of a domain), ``version``, ``header``, ``crc``, ``data``, ``ack``, ``final``,
    ``evict``, ``meta``, ``kind``, ``duplicate``, ``altered`` (an own one that was never sent so).
    """
    stale: int
    """Acknowledgements of views that were over."""
    gaps: int
    """
    How often frames of a member, this one included, were missing before one that came. Not how many they were: that is
    its sender's word alone.
    """
    divergences: int
    """How often this endpoint found that it had missed what others had."""
    evictions: int
    """Evictions that were seen, of whomever."""
    stalls: int
    """How often something was told to have stalled."""
    disagreeing: int
    """
    Frames of members that have chosen otherwise for ``strict_views``, where all have to choose the same: changes wait
    in vain there. The first is logged as a warning.
    """

    @classmethod
    def of(cls, domain: Domain) -> Statistics:
        """What a domain has counted."""
        counts = domain.counts
        return cls(
            domain.readers.position,
            domain.under_way,
            MappingProxyType(dict(counts.sent)),
            MappingProxyType(dict(counts.frames)),
            MappingProxyType(dict(counts.dropped)),
            counts.stale,
            counts.gaps,
            counts.divergences,
            counts.evictions,
            counts.stalls,
            counts.disagreeing,
        )
