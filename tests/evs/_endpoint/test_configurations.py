"""The configurations that readers get, from views."""

from __future__ import annotations

from aiocpg import RingChange, RingId
from aiocpg.evs._endpoint import Numbering
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._values import RegularConfiguration, TransitionalConfiguration
from support.evs_parties import ONE, RING, THREE, TWO

NEXT = RingChange(RingId(2, 8), (1, 3))


def test_the_first_is_as_the_others_see_it() -> None:
    """Only the newcomer has joined."""
    found = Numbering().first(View({ONE, TWO}, (), RING), ONE)
    assert found == RegularConfiguration(1, RING.ring_id, (1, 2, 3), (1,), (ONE, TWO), (ONE,))


def test_change_tells_who_comes_along_goes_and_comes() -> None:
    """Endpoints and nodes each."""
    numbering = Numbering()
    old, new = View({ONE, TWO}, (), RING), View({ONE, THREE}, {ONE}, NEXT, {1, 3})
    numbering.first(old, ONE)
    left = numbering.transitional(old, new, frozenset({ONE}), is_verified=True)
    assert left == TransitionalConfiguration(1, RING.ring_id, (1, 3), (2,), (ONE,), (TWO,), True)
    found = numbering.regular(new, frozenset({ONE}))
    assert found == RegularConfiguration(2, NEXT.ring_id, (1, 3), (), (ONE, THREE), (THREE,))


def test_node_that_came_back_at_once_has_gone_and_come() -> None:
    """Though it is on both rings."""
    numbering = Numbering()
    old, new = View({ONE}, (), RING), View({ONE}, {ONE}, NEXT, {1})
    numbering.first(old, ONE)
    assert numbering.transitional(old, new, frozenset({ONE}), is_verified=False).nodes_left == (2, 3)
    assert numbering.regular(new, frozenset({ONE})).nodes_joined == (3,)


def test_the_last_is_for_itself_alone() -> None:
    """Nothing follows it."""
    numbering = Numbering()
    view = View({ONE, TWO}, (), RING)
    numbering.first(view, ONE)
    found = numbering.transitional(view, None, frozenset({ONE}), is_verified=True)
    assert (found.nodes, found.members) == ((1,), (ONE,))


def test_numbers_go_on_in_the_next_life() -> None:
    """Readers see one stream."""
    numbering = Numbering()
    view = View({ONE}, (), RING)
    assert [numbering.first(view, ONE).number for _ in range(3)] == [1, 2, 3]
