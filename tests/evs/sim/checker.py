"""
Whether the lives of a run keep what EVS promises. Pure: it knows lives and nothing else.

=====  ===================================================================================  ============
S1     SAFE in a regular configuration: every member installs it, and delivers the message   ``safety``
S1p    and has the same order before the message, unless it sent it                          ``safety``
S2     SAFE in a transitional configuration: each of its members delivers the message        ``safety``
S3     one order; messages of one sender in the order they were sent                         ``order``
S4     virtual synchrony                                                                     ``together``
S6     at most once, unaltered; every send has a true outcome                                ``outcomes``
S7     once all is over, nothing is held, and all are in one configuration                   ``outcomes``
S8     configurations are sound                                                              ``stays``
=====  ===================================================================================  ============
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from aiocpg import Address, Guarantee
from evs.sim import order, outcomes, safety, together
from evs.sim.excused import Excused
from evs.sim.history import Got, Life
from evs.sim.stays import Stay, by_address, deliveries


class Summary(NamedTuple):
    """What was checked."""

    lives: int = 0
    configurations: int = 0
    regular_safe: int = 0
    transitional_safe: int = 0
    others: int = 0
    """Deliveries of other messages."""
    verified: int = 0
    """Transitional configurations of several members who have vouched."""
    differing: int = 0
    """Pairs that went on together and had not got the same, as far as that is Corosync's word only."""
    elsewhere: int = 0
    """SAFE messages whose sender had them in another configuration, because others had lost a join or a leave."""

    def __add__(self, other: object) -> Summary:
        assert isinstance(other, Summary)
        return Summary(*(mine + yours for mine, yours in zip(self, other, strict=True)))


def check(
    lives: Sequence[Life],
    *,
    strangers: Collection[Address] = (),
    is_exact: bool = False,
    is_settled: bool = True,
    loses_joins: bool = False,
) -> Summary:
    """
    Check a run.

    Args:
        lives: All of them, those of one address in their order.
        strangers: Addresses that were members and no endpoints: nothing is known, or demanded, of them.
        is_exact: Whether Corosync has kept its own promises, so that also AGREED has to be virtually synchronous.
        loses_joins: Whether members may not have been told of joins and leaves; see :func:`evs.sim.safety.check`.
        is_settled: Whether the run went on until nothing moved any more, with all that were there connected.

    Raises:
        Violation: A promise was not kept.
    """
    ours = [_without(life, frozenset(strangers)) for life in lives]
    all_stays = by_address(ours)
    excused = Excused(ours, all_stays, strangers)
    outcomes.check_deliveries(ours, all_stays)
    elsewhere = safety.check(all_stays, excused, loses_joins=loses_joins)
    order.check(ours)
    differing = together.check(all_stays, excused, is_exact=is_exact)
    outcomes.check_outcomes(ours)
    if is_settled:
        outcomes.check_settled(ours, all_stays)
    return _summary(ours, all_stays)._replace(differing=differing, elsewhere=elsewhere)


def _without(life: Life, strangers: frozenset[Address]) -> Life:
    if not strangers:
        return life
    events = [event for event in life.events if not (isinstance(event, Got) and event.sender in strangers)]
    return replace(life, events=events)


def _summary(lives: Sequence[Life], all_stays: dict[Address, list[Stay]]) -> Summary:
    found = [stay for there in all_stays.values() for stay in there]
    safe = [got.transitional for _, got in deliveries(all_stays) if got.guarantee == Guarantee.SAFE]
    transitions = [stay.transition for stay in found if stay.transition is not None]
    return Summary(
        len(lives),
        len(found),
        safe.count(False),
        safe.count(True),
        sum(len(stay.regular) + len(stay.transitional) for stay in found) - len(safe),
        sum(one.verified and len(one.members) > 1 for one in transitions),
    )
