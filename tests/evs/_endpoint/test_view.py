"""One view: who has what, and which view it is."""

from __future__ import annotations

import pytest

from aiocpg import Address, RingChange, RingId
from aiocpg.evs._endpoint import Entry
from aiocpg.evs._endpoint.view import View, fingerprint
from aiocpg.evs._wire import Triple
from support.evs_parties import ONE, RING, SAFE, THREE, TWO


@pytest.fixture
def view() -> View:
    """Provide a view of three in which three frames came, the second with a SAFE message of ONE."""
    one = View({ONE, TWO, THREE}, (), RING)
    for identity in (b"a", b"b", b"c"):
        one.chain.add(identity)
    one.unstable.append(Entry(2, ONE, 0, [(SAFE, b"", b"", b"safe")], is_safe=True, is_implied=False))
    one.last_safe = 2
    return one


def test_message_is_stable_once_all_have_acknowledged_it(view: View) -> None:
    """Its sender and we ourselves included."""
    for member, count in ((ONE, 2), (TWO, 3), (THREE, 2)):
        assert view.stable == 0
        view.acks[member] = count
        view.settle()
    assert view.stable == 2
    assert not view.unstable


def test_acknowledgement_of_less_is_none_of_it(view: View) -> None:
    """The count is of the whole prefix."""
    view.acks.update({ONE: 2, TWO: 2, THREE: 1})
    view.settle()
    assert view.stable == 0
    assert view.unacknowledged == {THREE}


def test_who_has_not_acknowledged_a_later_one_yet_is_not_waited_for(view: View) -> None:
    """Nor who shows that it has the oldest one by having sent it."""
    view.unstable.append(Entry(3, TWO, 0, [(SAFE, b"", b"", b"next")], is_safe=True, is_implied=False))
    view.last_safe = 3
    view.unstable[0].is_implied = True
    view.acks.update({ONE: 1, TWO: 2})
    assert view.unacknowledged == {THREE}


def test_frame_may_show_that_its_sender_has_the_message(view: View) -> None:
    """Of its sender only."""
    view.unstable[0].is_implied = True
    view.acks[TWO] = 2
    view.settle()
    assert view.stable == 0
    view.acks[THREE] = 2
    view.settle()
    assert view.stable == 2


def test_one_that_is_not_stable_holds_the_next(view: View) -> None:
    """Also where that one is with all: it is behind it in the order."""
    view.unstable.append(Entry(3, TWO, 0, [(SAFE, b"", b"", b"next")], is_safe=True, is_implied=True))
    view.acks.update({ONE: 3, THREE: 3})
    view.settle()
    assert [entry.count for entry in view.unstable] == [2, 3]


@pytest.mark.parametrize(
    ("change", "is_mine"),
    [({}, True), ({"number": 2}, False), ({"value": 1}, False), ({"fingerprint": 1}, False), ({"number": 0}, False)],
    ids=["the same", "another count", "another chain", "another view", "none"],
)
def test_triple_is_of_the_view_if_all_of_it_is(view: View, change: dict[str, int], is_mine: bool) -> None:
    """Nothing else proves anything."""
    assert view.has(view.triple._replace(**change)) is is_mine


def test_older_triple_of_the_view_is_of_it_too(view: View) -> None:
    """Its sender is not so far yet."""
    older = View({ONE, TWO, THREE}, (), RING)
    older.chain.add(b"a")
    assert view.has(older.triple)


def test_fingerprint_is_the_same_at_all_members() -> None:
    """In whatever order they are named."""
    assert fingerprint(RING, [ONE, TWO]) == fingerprint(RING, [TWO, ONE])


@pytest.mark.parametrize(
    ("ring", "members"),
    [
        (RingChange(RingId(2, 4), (1, 2, 3)), [ONE, TWO]),
        (RingChange(RingId(1, 8), (1, 2, 3)), [ONE, TWO]),
        (RING, [ONE]),
    ],
    ids=["representative", "number", "members"],
)
def test_fingerprint_tells_views_apart(ring: RingChange, members: list[Address]) -> None:
    """By the ring's whole id, and the members."""
    assert fingerprint(ring, members) != fingerprint(RING, [ONE, TWO])


def test_triple_has_fingerprint_count_and_chain(view: View) -> None:
    """What a frame carries."""
    assert view.triple == Triple(view.fingerprint, 3, view.chain.value)
