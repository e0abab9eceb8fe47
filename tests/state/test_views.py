"""Folding: which configuration changes make one view, and what it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId, View
from aiocpg._state.views import NO_RING, ViewFolder

A, B, C, D = (Address(nodeid, 10) for nodeid in (1, 2, 3, 4))
RING, NEXT_RING = RingId(1, 4), RingId(1, 8)
ALL = (1, 2, 3, 4)

Who = dict[Address, Reason]


def change(members: tuple[Address, ...], joined: Who | None = None, left: Who | None = None) -> ConfigurationChange:
    """Return one configuration change."""
    came = tuple(MemberChange(*entry) for entry in (joined or {}).items())
    went = tuple(MemberChange(*entry) for entry in (left or {}).items())
    return ConfigurationChange(b"group", members, came, went)


@pytest.fixture
def folder() -> ViewFolder:
    """A folder for a group of A and B, in its first view."""
    folder = ViewFolder(b"group")
    folder.change(change((A, B), {A: Reason.JOIN}), 0)
    folder.ring(RingChange(RING, ALL), 0)
    return folder


def test_first_view_is_held_until_the_ring_is_known() -> None:
    """A view names its ring, and the ring comes behind the own join."""
    folder = ViewFolder(b"group")
    assert folder.change(change((A,), {A: Reason.JOIN}), 0) is None
    assert folder.pending is not None
    assert folder.view is None
    assert folder.ring(RingChange(RING, ALL), 0) == View(b"group", (A,), {A: Reason.JOIN}, {}, RING, 1, 0)
    assert folder.pending is None


def test_first_view_comes_at_once_when_the_ring_was_known_before() -> None:
    """Another group's change may have told the ring already."""
    folder = ViewFolder(b"group")
    assert folder.ring(RingChange(RING, ALL), 0) is None
    assert folder.change(change((A,), {A: Reason.JOIN}), 0) == View(b"group", (A,), {A: Reason.JOIN}, {}, RING, 1, 0)


def test_first_view_comes_without_a_ring_when_a_message_does() -> None:
    """A message must stand in a view, so what is pending is closed before it."""
    folder = ViewFolder(b"group")
    folder.change(change((A,), {A: Reason.JOIN}), 0)
    view = folder.close(0)
    assert view is not None
    assert view.ring_id == NO_RING


@pytest.mark.parametrize(
    ("members", "joined", "left"),
    [
        ((A, B, C), {C: Reason.JOIN}, {}),
        ((A,), {}, {B: Reason.LEAVE}),
        ((A,), {}, {B: Reason.PROCDOWN}),
    ],
)
def test_plain_change_is_a_view_of_its_own(
    folder: ViewFolder, members: tuple[Address, ...], joined: Who, left: Who
) -> None:
    """No ring follows a join, a leave or a death."""
    view = folder.change(change(members, joined, left), 17)
    assert view == View(b"group", members, joined, left, RING, 2, 17)
    assert folder.view is view


def test_ring_change_is_folded_into_one_view(folder: ViewFolder) -> None:
    """Who went, who came, who died meanwhile, then the ring: one view, after all of it."""
    assert folder.change(change((A,), left={B: Reason.NODEDOWN}), 5) is None
    assert folder.change(change((A, C, D), {C: Reason.NODEUP, D: Reason.NODEUP}), 5) is None
    assert folder.change(change((A, C), left={D: Reason.PROCDOWN}), 5) is None
    view = folder.ring(RingChange(NEXT_RING, ALL), 5)
    assert view == View(b"group", (A, C), {C: Reason.NODEUP}, {B: Reason.NODEDOWN}, NEXT_RING, 2, 5)


def test_ring_change_that_does_not_touch_the_group_makes_no_view(folder: ViewFolder) -> None:
    """The next view names the new ring."""
    assert folder.ring(RingChange(NEXT_RING, ALL), 5) is None
    view = folder.change(change((A, B, C), {C: Reason.JOIN}), 6)
    assert view is not None
    assert (view.ring_id, view.number) == (NEXT_RING, 2)


def test_who_left_and_came_back_is_in_both(folder: ViewFolder) -> None:
    """Its history parted from ours, although the members are the same as before."""
    folder.change(change((A,), left={B: Reason.NODEDOWN}), 5)
    folder.change(change((A, B), {B: Reason.NODEUP}), 5)
    view = folder.ring(RingChange(NEXT_RING, ALL), 5)
    assert view == View(b"group", (A, B), {B: Reason.NODEUP}, {B: Reason.NODEDOWN}, NEXT_RING, 2, 5)
    assert view.stayed == (A,)


def test_who_came_and_went_within_the_change_is_in_neither(folder: ViewFolder) -> None:
    """Nobody ever shared a view with it."""
    folder.change(change((A, B, C), {C: Reason.NODEUP}), 5)
    folder.change(change((A, B), left={C: Reason.PROCDOWN}), 5)
    assert folder.ring(RingChange(NEXT_RING, ALL), 5) is None


def test_unknown_process_that_left_is_not_named(folder: ViewFolder) -> None:
    """Corosync does not check who leaves (exec/cpg.c, do_proc_leave)."""
    assert folder.change(change((A, B), left={D: Reason.PROCDOWN}), 5) is None
    view = folder.change(change((A,), left={B: Reason.LEAVE, D: Reason.PROCDOWN}), 5)
    assert view is not None
    assert dict(view.left) == {B: Reason.LEAVE}


def test_plain_change_during_a_ring_change_waits_for_the_ring(folder: ViewFolder) -> None:
    """A pending change takes everything up to its ring."""
    folder.change(change((A,), left={B: Reason.NODEDOWN}), 5)
    assert folder.change(change((A, C), {C: Reason.JOIN}), 5) is None
    view = folder.ring(RingChange(NEXT_RING, ALL), 5)
    assert view == View(b"group", (A, C), {C: Reason.JOIN}, {B: Reason.NODEDOWN}, NEXT_RING, 2, 5)


@pytest.fixture
def haunted() -> ViewFolder:
    """A folder for a group of A, whose node is alone on its ring, and of C, a ghost."""
    folder = ViewFolder(b"group")
    folder.ring(RingChange(RING, (1,)), 0)
    folder.change(change((A,), {A: Reason.JOIN}), 0)
    folder.change(change((A, C), {C: Reason.NODEUP}), 3)
    folder.ring(RingChange(RingId(1, 6), (1,)), 3)
    return folder


def test_a_ghost_has_left_and_come_back_when_its_node_is_on_the_next_ring(haunted: ViewFolder) -> None:
    """Corosync says nothing, for it has listed it already; its history was never ours all the same."""
    view = haunted.ring(RingChange(NEXT_RING, (1, 3)), 5)
    assert view == View(b"group", (A, C), {C: Reason.NODEUP}, {C: Reason.NODEDOWN}, NEXT_RING, 3, 5)
    assert view.stayed == (A,)


def test_a_ghost_has_come_back_when_others_come_with_it(haunted: ViewFolder) -> None:
    """Corosync names the others only."""
    haunted.change(change((A, B, C), {B: Reason.NODEUP}), 5)
    view = haunted.ring(RingChange(NEXT_RING, (1, 2, 3)), 5)
    came = {B: Reason.NODEUP, C: Reason.NODEUP}
    assert view == View(b"group", (A, B, C), came, {C: Reason.NODEDOWN}, NEXT_RING, 3, 5)


def test_a_ghost_goes_as_corosync_says_when_its_process_is_not_there(haunted: ViewFolder) -> None:
    """Its node is on the ring, and found to have no such process any more."""
    view = haunted.change(change((A,), left={C: Reason.PROCDOWN}), 5)
    assert view is not None
    assert (view.members, dict(view.left)) == ((A,), {C: Reason.PROCDOWN})
    assert haunted.ring(RingChange(NEXT_RING, (1, 3)), 5) is None


def test_a_ghost_is_as_corosync_says_when_another_process_is_there_instead(haunted: ViewFolder) -> None:
    """The change tells of both, and the ring adds nothing."""
    other = Address(3, 11)
    haunted.change(change((A, C, other), {other: Reason.NODEUP}), 5)
    haunted.change(change((A, other), left={C: Reason.PROCDOWN}), 5)
    view = haunted.ring(RingChange(NEXT_RING, (1, 3)), 5)
    assert view == View(b"group", (A, other), {other: Reason.NODEUP}, {C: Reason.PROCDOWN}, NEXT_RING, 3, 5)


def test_a_ghost_stays_one_when_its_node_is_not_on_the_next_ring_either(haunted: ViewFolder) -> None:
    """Nothing is known that Corosync has not said."""
    assert haunted.ring(RingChange(NEXT_RING, (1, 2)), 5) is None


@st.composite
def histories(draw: st.DrawFn) -> list[list[ConfigurationChange]]:
    """Ring changes as exec/cpg.c makes them: those who went, then those who came, always true to the members."""
    members = {A}
    rings = []
    for _ in range(draw(st.integers(1, 6))):
        went = draw(st.sets(st.sampled_from(sorted(members - {A}) or [D]), max_size=3)) & (members - {A})
        members -= went
        came = draw(st.sets(st.sampled_from([B, C, D]), max_size=3)) - members
        first = change(tuple(sorted(members)), left=dict.fromkeys(went, Reason.NODEDOWN))
        members |= came
        rings.append([first, change(tuple(sorted(members)), dict.fromkeys(came, Reason.NODEUP))])
    return rings


@given(histories())
def test_views_of_any_history_follow_from_one_another(rings: list[list[ConfigurationChange]]) -> None:
    """Each view is the one before it, without who left, with who joined; its number is one more."""
    folder = ViewFolder(b"group")
    folder.change(change((A,), {A: Reason.JOIN}), 0)
    before = folder.ring(RingChange(RING, ALL), 0)
    assert before is not None
    for number, changes in enumerate(rings):
        for one in changes:
            assert folder.change(one, 0) is None or not (one.joined or one.left)
        view = folder.ring(RingChange(RingId(1, 100 + number), ALL), 0)
        if view is None:
            assert changes[-1].members == before.members
            continue
        assert set(view.members) == (set(before.members) - set(view.left)) | set(view.joined)
        assert view.members == changes[-1].members
        assert view.number == before.number + 1
        assert set(view.stayed) == set(before.members) - set(view.left)
        before = view
