"""The values of a domain: groups as keys of 32 bytes, and what receipts, deliveries and configurations say."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Address, Guarantee, RingId
from aiocpg.errors import GroupNameError
from aiocpg.evs._values import (
    KEY_SIZE,
    Delivery,
    Evicted,
    EvsGroup,
    Membership,
    Receipt,
    RegularConfiguration,
    Resumed,
    Resync,
    Stalled,
    TransitionalConfiguration,
    as_groups,
)

A, B = Address(1, 10), Address(2, 20)
RING = RingId(1, 0x4C)
REGULAR = RegularConfiguration(1, RING, (1, 2), (2,), (A, B), (B,))
TRANSITIONAL = TransitionalConfiguration(1, RING, (1,), (2,), (A,), (B,), verified=True)
VALUES: list[Any] = [
    EvsGroup("orders"),
    EvsGroup.exact(bytes(KEY_SIZE)),
    REGULAR,
    TRANSITIONAL,
    Delivery(A, b"data", (EvsGroup("orders"),), Guarantee.SAFE, 7, False),
    Receipt(7, REGULAR),
    Stalled((B,), 1.5, 3),
    Resumed(1.5),
    Evicted(A),
    Resync("it has missed what others had"),
    Membership(1, (1, 2), (A, B), RING),
]
keys = st.binary(min_size=1, max_size=KEY_SIZE)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_is_equal_and_hashes_alike_when_it_was_pickled(value: object) -> None:
    """Values go to other processes, and into sets."""
    for again in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value)):
        assert again == value
        assert {again, value} == {value}


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_value_cannot_be_changed(value: object) -> None:
    """Many readers may have the same."""
    slots = getattr(type(value), "__slots__", ()) or type(value)._fields  # type: ignore[attr-defined]
    with pytest.raises(AttributeError):
        setattr(value, slots[0], None)


@given(keys)
def test_group_is_filled_up_with_nuls(key: bytes) -> None:
    """As a C initializer does."""
    group = EvsGroup(key)
    assert group.key == key + bytes(KEY_SIZE - len(key))
    assert group == EvsGroup.exact(group.key)


def test_group_of_text_is_that_of_its_utf8() -> None:
    """Characters are not what is counted."""
    assert EvsGroup("größe") == EvsGroup("größe".encode())
    assert EvsGroup("ü" * 16).key == b"\xc3\xbc" * 16


def test_nuls_at_the_end_make_no_other_group() -> None:
    """The key is what is compared."""
    assert EvsGroup(b"key\0") == EvsGroup(b"key")
    assert EvsGroup(b"key") != EvsGroup(b"\0key")


def test_group_is_equal_to_no_text_and_no_bytes() -> None:
    """The reference says how to ask; equal to both, it would have to hash as both."""
    told: tuple[object, ...] = (EvsGroup("orders"),)
    assert EvsGroup("orders") in told
    assert "orders" not in told
    assert b"orders" not in told


@pytest.mark.parametrize("key", ["", b"", b"k" * 33, "ü" * 17, 7, None, bytearray(b"key"), EvsGroup(b"key")])
def test_key_that_cannot_be_is_refused(key: Any) -> None:
    """Empty, too long, or of another type."""
    with pytest.raises(GroupNameError) as caught:
        EvsGroup(key)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 33, "k" * 32, bytearray(32)])
def test_exact_group_has_32_bytes(key: Any) -> None:
    """Nothing is filled up there."""
    with pytest.raises(GroupNameError):
        EvsGroup.exact(key)


def test_group_of_32_nuls_exists_for_who_asks_for_it() -> None:
    """The old interface had it, too."""
    assert EvsGroup.exact(bytes(32)).key == bytes(32)


@given(st.lists(keys, max_size=6))
def test_groups_are_in_the_order_of_their_keys(given_keys: list[bytes]) -> None:
    """Byte by byte."""
    groups = sorted(map(EvsGroup, given_keys))
    assert [group.key for group in groups] == sorted(key.ljust(KEY_SIZE, b"\0") for key in given_keys)


@pytest.mark.parametrize(
    ("key", "text", "shown"),
    [
        ("orders", "orders", "EvsGroup(b'orders')"),
        (b"\xff\0a", "\\xff\0a", "EvsGroup(b'\\xff\\x00a')"),
    ],
)
def test_group_is_shown_without_its_nuls(key: bytes | str, text: str, shown: str) -> None:
    """What is shown makes the same group again."""
    group = EvsGroup(key)
    assert (str(group), repr(group)) == (text, shown)
    assert eval(shown) == group


def test_group_of_32_nuls_shows_how_it_is_made() -> None:
    """The short way would be refused."""
    group = EvsGroup.exact(bytes(32))
    assert eval(repr(group)) == group


def test_groups_may_be_given_as_anything_that_names_one() -> None:
    """Mixed, in their order, once each time."""
    given_groups: Iterable[Any] = iter(["a", b"b", EvsGroup("c"), "a"])
    assert as_groups(given_groups) == (EvsGroup("a"), EvsGroup("b"), EvsGroup("c"), EvsGroup("a"))
    assert as_groups([]) == ()


@pytest.mark.parametrize("groups", ["orders", b"orders", EvsGroup("orders"), bytearray(b"orders"), memoryview(b"")])
def test_bare_group_is_no_list_of_groups(groups: Any) -> None:
    """It would be taken for its characters, or for no group at all where it has none."""
    with pytest.raises(TypeError, match="brackets"):
        as_groups(groups)


@pytest.mark.parametrize("groups", [[""], ["a", b"k" * 33], [7], [bytearray(b"orders")]])
def test_wrong_group_in_a_list_is_refused(groups: Any) -> None:
    """None is left out silently."""
    with pytest.raises(GroupNameError):
        as_groups(groups)


def test_receipt_says_whether_it_is_transitional() -> None:
    """By the configuration in which it was delivered."""
    assert not Receipt(1, REGULAR).transitional
    assert Receipt(1, TRANSITIONAL).transitional


def test_membership_is_told_by_name_and_in_order() -> None:
    """As a tuple, for those who come from the old call."""
    nodeid, nodes, members, ring_id = membership = Membership(1, (1, 2), (A, B), RING)
    assert (nodeid, nodes, members, ring_id) == (
        membership.nodeid,
        membership.nodes,
        membership.members,
        membership.ring_id,
    )
