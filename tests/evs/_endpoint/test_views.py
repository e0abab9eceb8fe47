"""What may be delivered when, from view to view."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from aiocpg import Address
from aiocpg.evs._endpoint import Entry, Numbering
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._endpoint.views import Views
from aiocpg.evs._wire import Triple
from support.evs_parties import AGREED, ONE, RING, SAFE, THREE, TWO, UNORDERED, said


def entry(view: View, data: bytes, guarantee: int = AGREED, source: Address = TWO) -> Entry:
    """A frame comes in this view, with this message."""
    count = view.chain.add(data)
    return Entry(count, source, 0, [(guarantee, b"", b"", data)], is_safe=guarantee == SAFE, is_implied=False)


def queue(view: View, data: bytes, guarantee: int = AGREED) -> None:
    """A message comes in this view, and has its place in the order."""
    one = entry(view, data, guarantee)
    view.queue.append(one)
    if guarantee == SAFE:
        view.unstable.append(one)
        view.last_safe = one.count


def opened(*, strict: bool = False) -> Views:
    """The views of ONE, the first of which has three members."""
    return Views(ONE, View({ONE, TWO, THREE}, (), RING), Numbering(), strict=strict)


def follow(views: Views, members: Iterable[Address], along: Iterable[Address] | None = None) -> View:
    """The next view; who is in it came along, unless they are named."""
    members = set(members)
    new = View(members, views.current.members & members if along is None else along, RING)
    views.add(new)
    return new


def pump(views: Views) -> list[str]:
    """What is handed out now."""
    views.decide()
    return said(views.deliver())


def acknowledge(views: Views, view: View, *members: Address) -> None:
    """These have all that came in the view."""
    for member in members:
        views.acknowledge(member, view.triple)


def test_safe_holds_what_is_behind_it() -> None:
    """What is before it goes."""
    views = opened()
    for data, guarantee in ((b"a", AGREED), (b"b", SAFE), (b"c", AGREED)):
        queue(views.current, data, guarantee)
    assert pump(views) == ["a"]
    acknowledge(views, views.current, ONE, TWO)
    assert (pump(views), views.is_held, views.laggards) == ([], True, {THREE})
    acknowledge(views, views.current, THREE)
    assert pump(views) == ["b", "c"]
    assert (views.is_held, views.laggards) == (False, frozenset())


def test_change_with_nothing_in_doubt_is_delivered_at_once() -> None:
    """Corosync's word is taken for who comes along."""
    views = opened()
    follow(views, {ONE, TWO})
    assert pump(views) == ["-1:10 2:20", "+1:10 2:20"]


def test_change_in_doubt_waits_for_all_that_go_on() -> None:
    """Also for our own word, which comes through the order as that of others."""
    views = opened()
    old = views.current
    queue(old, b"a", SAFE)
    follow(views, {ONE, TWO})
    views.vouch(TWO, old.triple)
    assert (pump(views), views.laggards) == ([], {ONE})
    views.vouch(ONE, old.triple)
    assert pump(views) == ["=1:10 2:20", "a", "+1:10 2:20"]


def test_who_is_alone_waits_for_nobody() -> None:
    """There is nobody to agree with."""
    views = opened()
    queue(views.current, b"a", SAFE)
    follow(views, {ONE})
    assert pump(views) == ["=1:10", "a", "+1:10"]


def test_acknowledgement_of_all_settles_a_view_that_is_over() -> None:
    """Its sender has them in the same view: delivered in the regular configuration."""
    views = opened()
    old = views.current
    queue(old, b"a", SAFE)
    follow(views, {ONE, TWO})
    acknowledge(views, old, ONE, TWO, THREE)
    assert pump(views) == ["a", "-1:10 2:20", "+1:10 2:20"]


def test_who_vouches_for_something_else_is_not_believed() -> None:
    """And is waited for, until it is seen to have gone on."""
    views = opened()
    queue(views.current, b"a", SAFE)
    old, new = views.current, follow(views, {ONE, TWO})
    views.vouch(ONE, old.triple)
    views.vouch(TWO, old.triple._replace(value=1))
    assert pump(views) == []
    new.chain.add(b"x")
    views.acknowledge(TWO, new.triple)
    assert pump(views) == ["=1:10", "a", "+1:10 2:20"]


def test_own_last_word_that_was_lost_leaves_us_in() -> None:
    """A later frame of ours shows that it will not come. The others do not count us, and we go on as we are."""
    views = opened()
    queue(views.current, b"a", SAFE)
    old, new = views.current, follow(views, {ONE, TWO})
    views.vouch(TWO, old.triple)
    new.chain.add(b"x")
    views.acknowledge(ONE, new.triple)
    assert pump(views) == ["=1:10 2:20", "a", "+1:10 2:20"]


def test_who_goes_while_it_is_waited_for_is_waited_for_no_more() -> None:
    """Views queue up meanwhile, and are handed out in order."""
    views = opened()
    queue(views.current, b"a", SAFE)
    follow(views, {ONE, TWO})
    assert pump(views) == []
    follow(views, {ONE})
    assert pump(views) == ["=1:10", "a", "+1:10 2:20", "-1:10", "+1:10"]


def test_who_came_back_did_not_come_along() -> None:
    """Its word is of another life."""
    views = opened()
    queue(views.current, b"a", SAFE)
    follow(views, {ONE, TWO}, along={ONE})
    assert pump(views) == ["=1:10", "a", "+1:10 2:20"]


def test_strict_views_always_ask() -> None:
    """Though nothing is in doubt."""
    views = opened(strict=True)
    old = views.current
    follow(views, {ONE, TWO})
    assert pump(views) == []
    for member in (ONE, TWO):
        views.vouch(member, old.triple)
    assert pump(views) == ["=1:10 2:20", "+1:10 2:20"]


@pytest.mark.parametrize("is_pending", [False, True])
def test_unordered_overtakes_but_not_its_view(is_pending: bool) -> None:
    """What belongs to a view that is not installed yet waits for it, and no longer."""
    views = opened()
    queue(views.current, b"a", SAFE)
    if is_pending:
        follow(views, {ONE, TWO})
    assert said(views.overtake(entry(views.current, b"u", UNORDERED))) == ([] if is_pending else ["u"])
    if is_pending:
        follow(views, {ONE})
        assert pump(views) == ["=1:10", "a", "+1:10 2:20", "u", "-1:10", "+1:10"]


def test_triple_of_nowhere_proves_nothing() -> None:
    """Nor does that of somebody who is not there."""
    views = opened()
    queue(views.current, b"a", SAFE)
    assert views.acknowledge(ONE, Triple(1, 1, 1)) is None
    assert views.acknowledge(Address(9, 9), views.current.triple) is None
    assert views.current.acks == {}


def test_the_end_hands_out_everything_for_us_alone() -> None:
    """In every view, what is stable in the regular configuration."""
    views = opened()
    queue(views.current, b"a", SAFE)
    acknowledge(views, views.current, ONE, TWO, THREE)
    queue(views.current, b"b", SAFE)
    queue(follow(views, {ONE, TWO}), b"c", SAFE)
    views.decide()
    assert said(views.close_out()) == ["a", "=1:10", "b", "+1:10 2:20", "=1:10", "c"]
    assert len(views) == 0


def test_held_counts_messages() -> None:
    """In all views, also those that will overtake."""
    views = opened()
    queue(views.current, b"a", SAFE)
    new = follow(views, {ONE, TWO})
    queue(new, b"b")
    list(views.overtake(entry(new, b"u", UNORDERED)))
    assert views.held == 3
