"""The values: frozen, hashable, picklable, printed as Corosync prints them."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any

import pytest

from aiocpg import (
    Address,
    ConfigurationChange,
    DaemonIdentity,
    Guarantee,
    MemberChange,
    Message,
    Reason,
    Receipt,
    RingChange,
    RingId,
    View,
)

A, B, C = Address(1, 10), Address(1, 20), Address(2, 5)
RING = RingId(1, 0x4C)


def make_view(joined: dict[Address, Reason] | None = None, left: dict[Address, Reason] | None = None) -> View:
    """Return a view of A, B and C."""
    return View(b"group", (A, B, C), joined or {}, left or {}, RING, 3, 17)


VALUES: list[Any] = [
    A,
    RING,
    MemberChange(A, Reason.JOIN),
    DaemonIdentity(1, 0, 0),
    RingChange(RING, (1, 2)),
    ConfigurationChange(b"group", (A, B), (MemberChange(B, Reason.JOIN),), ()),
    make_view({B: Reason.JOIN}, {C: Reason.NODEDOWN}),
    Message(b"group", A, b"data", 18, make_view({B: Reason.JOIN})),
    Receipt(18, make_view()),
]


def ids(value: object) -> str:
    """Return the class's name."""
    return type(value).__name__


@pytest.mark.parametrize("value", VALUES, ids=ids)
def test_value_is_equal_and_hashes_alike_when_it_was_pickled(value: object) -> None:
    """Values go to other processes, and into sets."""
    again = pickle.loads(pickle.dumps(value))
    assert again == value
    assert hash(again) == hash(value)
    assert {again, value} == {value}


@pytest.mark.parametrize("value", VALUES, ids=ids)
def test_value_cannot_be_changed(value: Any) -> None:
    """One object is handed to all readers."""
    fields = getattr(value, "_fields", None) or [field.name for field in dataclasses.fields(value)]
    for name in fields:
        with pytest.raises((AttributeError, dataclasses.FrozenInstanceError)):
            setattr(value, name, None)


def test_address_prints_and_sorts_as_nodeid_and_pid() -> None:
    """``1:4242``, and numbers compare as numbers."""
    assert str(Address(1, 4242)) == "1:4242"
    assert sorted([C, B, A, Address(1, 9)]) == [Address(1, 9), A, B, C]


def test_ring_id_prints_in_hex_and_compares_as_a_pair() -> None:
    """Two halves of a partition may have one seq."""
    assert str(RING) == "1.4c"
    assert RingId(1, 13) != RingId(3, 13)


def test_enums_have_the_numbers_of_the_header() -> None:
    """``cpg_reason_t`` and ``cpg_guarantee_t``."""
    assert {reason.name: int(reason) for reason in Reason} == {
        "UNDEFINED": 0,
        "JOIN": 1,
        "LEAVE": 2,
        "NODEDOWN": 3,
        "NODEUP": 4,
        "PROCDOWN": 5,
    }
    assert [(one.name, int(one)) for one in Guarantee] == [("UNORDERED", 0), ("FIFO", 1), ("AGREED", 2), ("SAFE", 3)]


def test_stayed_is_who_came_along() -> None:
    """Members that did not join in this view; one that left and came back did not stay."""
    assert make_view({B: Reason.JOIN}).stayed == (A, C)
    assert make_view({B: Reason.NODEUP}, {B: Reason.NODEDOWN}).stayed == (A, C)
    assert make_view({A: Reason.NODEUP, B: Reason.NODEUP, C: Reason.JOIN}).stayed == ()


def test_views_mappings_are_read_only_and_its_own() -> None:
    """Neither the reader nor the maker of the mapping changes the view."""
    joined = {B: Reason.JOIN}
    view = make_view(joined)
    joined[C] = Reason.JOIN
    assert dict(view.joined) == {B: Reason.JOIN}
    with pytest.raises(TypeError):
        view.joined[C] = Reason.JOIN  # type: ignore[index] # that is what is tested
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(view)).left[C] = Reason.JOIN


def test_events_match_by_class_and_field() -> None:
    """The way programs take them apart."""
    match VALUES[7]:
        case Message(sender=sender, data=data, view=View(members=members)):
            assert (sender, data, members) == (A, b"data", (A, B, C))
        case _:
            raise AssertionError("the message does not match")


def test_view_prints_on_one_line() -> None:
    """Each message shows its view, so a view is short."""
    me, other = Address(1, 42), Address(2, 7)
    view = View(b"g", (me,), {me: Reason.JOIN}, {other: Reason.PROCDOWN}, RingId(1, 76), 3, 17)
    assert repr(view) == "<View 3 of b'g' on ring 1.4c: 1:42; +1:42 JOIN -2:7 PROCDOWN>"
