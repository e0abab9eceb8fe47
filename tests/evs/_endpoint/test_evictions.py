"""Who was evicted a short while ago."""

from __future__ import annotations

from aiocpg.evs._endpoint.evictions import REMEMBERED_SECONDS, Evictions
from support.evs_parties import ONE, TWO


def test_eviction_is_remembered_for_a_minute() -> None:
    """From the time on that is told next, and anew where it is evicted again."""
    evictions = Evictions()
    assert evictions.recent(5.0) == frozenset()
    evictions.note(ONE)
    assert evictions.recent(10.0) == {ONE}
    evictions.note(TWO)
    assert evictions.recent(20.0) == {ONE, TWO}
    assert evictions.recent(10.0 + REMEMBERED_SECONDS) == {TWO}
    evictions.note(TWO)
    assert evictions.recent(20.0 + REMEMBERED_SECONDS) == {TWO}
    assert evictions.recent(20.0 + 2 * REMEMBERED_SECONDS) == frozenset()
