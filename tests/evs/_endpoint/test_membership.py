"""From CPG's changes to steps: every order in which they may come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from aiocpg import Address, ConfigurationChange, Reason, RingChange, RingId
from aiocpg.evs._endpoint.membership import Membership, Step
from support.evs_parties import ONE, RING, THREE, TWO, change

JOIN, LEAVE, NODEDOWN, NODEUP, PROCDOWN = Reason.JOIN, Reason.LEAVE, Reason.NODEDOWN, Reason.NODEUP, Reason.PROCDOWN

NEXT = RingChange(RingId(1, 8), (1, 2, 3))
ALONE = RingChange(RingId(1, 8), (1,))

MY_JOIN = change([ONE, TWO], joined=[(ONE, JOIN)])


def steps(membership: Membership, *told: ConfigurationChange | RingChange) -> list[Step]:
    """All steps that follow."""
    found: list[Step] = []
    for one in told:
        found += membership.ring(one) if isinstance(one, RingChange) else membership.change(one)
    return found


@pytest.fixture
def begun() -> Membership:
    """Provide a membership of ONE and TWO on a ring of three nodes."""
    membership = Membership(ONE)
    steps(membership, RING, MY_JOIN)
    return membership


@pytest.mark.parametrize(
    "told",
    [(RING, MY_JOIN), (MY_JOIN, RING), (RING, RING, MY_JOIN), (ALONE, RING, MY_JOIN), (RING, MY_JOIN, RING)],
    ids=["ring first", "join first", "ring twice", "another ring before", "ring before and behind"],
)
def test_it_begins_once_with_join_and_ring_in_any_order(told: Sequence[ConfigurationChange | RingChange]) -> None:
    """Corosync tells the ring with the next change of any group, so it may be known before."""
    assert steps(Membership(ONE), *told) == [Step(frozenset({ONE, TWO}), frozenset(), frozenset(), RING)]


def test_who_joins_before_the_ring_is_known_is_there_from_the_beginning() -> None:
    """There is no view yet that it could join."""
    found = steps(Membership(ONE), MY_JOIN, change([ONE, TWO, THREE], joined=[(THREE, JOIN)]), RING)
    assert [step.members for step in found] == [{ONE, TWO, THREE}]


@pytest.mark.parametrize(
    ("told", "members", "left"),
    [
        (change([ONE, TWO, THREE], joined=[(THREE, JOIN)]), {ONE, TWO, THREE}, set()),
        (change([ONE], left=[(TWO, LEAVE)]), {ONE}, {TWO}),
        (change([ONE], left=[(TWO, PROCDOWN)]), {ONE}, {TWO}),
    ],
    ids=["join", "leave", "death"],
)
def test_change_of_one_process_is_a_step(
    begun: Membership, told: ConfigurationChange, members: set[Address], left: set[Address]
) -> None:
    """At once."""
    assert steps(begun, told) == [Step(frozenset(members), frozenset(left), frozenset(), RING)]


def test_everything_at_a_ring_change_is_one_step_with_the_ring(begun: Membership) -> None:
    """Who went, who came, who died meanwhile: nothing is a step before the ring."""
    gone = change([ONE], left=[(TWO, NODEDOWN)])
    came = change([ONE, THREE], joined=[(THREE, NODEUP)])
    died = change([ONE], left=[(THREE, PROCDOWN)])
    assert steps(begun, gone, came, died) == []
    assert steps(begun, NEXT) == [Step(frozenset({ONE}), frozenset({TWO, THREE}), frozenset({2}), NEXT)]


def test_who_went_and_came_at_one_ring_change_is_in_both(begun: Membership) -> None:
    """So it is known that it did not come along."""
    gone = change([ONE], left=[(TWO, NODEDOWN)])
    back = change([ONE, TWO], joined=[(TWO, NODEUP)])
    assert steps(begun, gone, back, NEXT) == [Step(frozenset({ONE, TWO}), frozenset({TWO}), frozenset({2}), NEXT)]


def test_new_ring_alone_is_a_step(begun: Membership) -> None:
    """The group did not change, but its ring did."""
    assert steps(begun, NEXT) == [Step(frozenset({ONE, TWO}), frozenset(), frozenset(), NEXT)]


def test_known_ring_alone_is_none(begun: Membership) -> None:
    """It is told again now and then."""
    assert steps(begun, RING) == []


def test_frame_ends_what_was_collected(begun: Membership) -> None:
    """Whatever is missing."""
    assert steps(begun, change([ONE], left=[(TWO, NODEDOWN)])) == []
    assert begun.finish() == [Step(frozenset({ONE}), frozenset({TWO}), frozenset({2}), RING)]
    assert begun.finish() == []


def test_join_ends_what_was_collected(begun: Membership) -> None:
    """It is a message of the new ring: two steps."""
    gone = change([ONE], left=[(TWO, NODEDOWN)])
    joined = change([ONE, THREE], joined=[(THREE, JOIN)])
    found = steps(begun, gone, joined)
    assert [step.left for step in found] == [{TWO}, set()]
    assert [step.members for step in found] == [{ONE}, {ONE, THREE}]


def test_ghost_on_a_node_outside_the_ring_does_not_exist(begun: Membership) -> None:
    """Corosync may list a member of a node that is not there."""
    ghost = Address(4, 40)
    (step,) = steps(begun, change([ONE, TWO, ghost], joined=[(ghost, NODEUP)]), NEXT)
    assert step.members == {ONE, TWO}


def test_ghost_exists_once_its_node_is_on_the_ring(begun: Membership) -> None:
    """No change tells of it then."""
    steps(begun, change([ONE, TWO, THREE], joined=[(THREE, NODEUP)]), RingChange(RingId(1, 8), (1, 2)))
    (step,) = steps(begun, RingChange(RingId(1, 12), (1, 2, 3)))
    assert step.members == {ONE, TWO, THREE}


@pytest.mark.parametrize("reason", [LEAVE, PROCDOWN], ids=["left", "died"])
def test_it_is_gone_when_it_is_listed_no_more(begun: Membership, reason: Reason) -> None:
    """What was collected is a step before."""
    steps(begun, change([ONE], left=[(TWO, NODEDOWN)]))
    (step,) = steps(begun, change([], left=[(ONE, reason)]))
    assert (step.members, begun.is_gone) == ({ONE}, True)


def test_departure_of_a_process_that_nobody_knew_changes_nobody(begun: Membership) -> None:
    """Its join was lost on the way here."""
    (step,) = steps(begun, change([ONE, TWO], left=[(THREE, LEAVE)]))
    assert step.members == {ONE, TWO}
