"""Which handles a message is for: multisets of groups, and the match."""

from __future__ import annotations

import pickle

import pytest

from aiocpg.errors import NotJoinedError, TooManyGroupsError
from aiocpg.evs import EvsGroup
from aiocpg.evs._routing import MOST_GROUPS_AT_ONCE, Joined, Routes, keys_of
from aiocpg.evs._values import as_groups


def keys(*names: str) -> bytes:
    """What a message to these groups carries."""
    return keys_of(as_groups(names))


def make() -> tuple[Joined, list[None]]:
    """Nothing joined yet, and a mark for each change."""
    changes: list[None] = []
    return Joined(lambda: changes.append(None)), changes


def test_joined_is_a_multiset() -> None:
    """Each join counts, and each leave takes one back; a message carries each group once."""
    joined, _ = make()
    joined.join(as_groups(["b", "a", "b"]))
    joined.join(as_groups(["a"]))
    assert list(map(str, joined.groups)) == ["a", "a", "b", "b"]
    joined.leave(as_groups(["a", "b", "a"]))
    assert list(map(str, joined.groups)) == ["b"]
    assert joined.keys == keys("b")


def test_joined_tells_of_each_change_and_of_part_of_one() -> None:
    """What was looked up is wrong then."""
    joined, changes = make()
    joined.join(as_groups(["a", "b"]))
    told = len(changes)
    assert told > 0
    with pytest.raises(NotJoinedError) as caught:
        joined.leave(as_groups(["a", "x", "b"]))
    assert (caught.value.group, caught.value.removed) == (EvsGroup("x"), (EvsGroup("a"),))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    assert str(caught.value).startswith("'x' is not joined here")
    assert len(changes) > told
    assert joined.keys == keys("b")


def test_joined_refuses_more_than_50_at_once_and_changes_nothing() -> None:
    """Whether they come or go."""
    joined, changes = make()
    many = as_groups(map(str, range(MOST_GROUPS_AT_ONCE + 1)))
    for call in (joined.join, joined.leave):
        with pytest.raises(TooManyGroupsError) as caught:
            call(many)
        assert (caught.value.number, caught.value.limit) == (51, 50)
    assert (joined.groups, changes) == ((), [])
    joined.join(many[:50])
    assert len(joined.groups) == 50


def test_nothing_joined_is_no_group() -> None:
    """Also after it was something."""
    joined, _ = make()
    assert joined.keys == b""
    joined.join(as_groups(["a"]))
    joined.leave(as_groups(["a"]))
    assert (joined.keys, joined.groups) == (b"", ())


def test_keys_are_sorted_and_each_is_there_once() -> None:
    """So that messages to the same groups have the same ones."""
    assert keys("b", "a", "b") == keys("a", "b") == EvsGroup("a").key + EvsGroup("b").key
    assert keys() == b""


def test_keys_are_255_at_most() -> None:
    """Different ones."""
    names = list(map(str, range(255)))
    assert len(keys(*names, *names)) == 255 * 32
    with pytest.raises(TooManyGroupsError) as caught:
        keys(*names, "one more")
    assert (caught.value.number, caught.value.limit) == (256, 255)


def test_route_names_a_handle_once_with_the_groups_that_match() -> None:
    """Sorted; handles without a match are not in it."""
    routes: Routes[str] = Routes()
    for handle, groups in (("one", "abcc"), ("two", "b"), ("three", "x"), ("four", "")):
        routes.add(handle).join(as_groups(list(groups)))
    found = routes.of(keys("c", "b", "a", "y"))
    assert [(handle, [str(group) for group in groups]) for handle, groups in found] == [
        ("one", ["a", "b", "c"]),
        ("two", ["b"]),
    ]
    assert routes.of(b"") == []


def test_route_follows_every_join_leave_and_end() -> None:
    """Though it is kept between them."""
    routes: Routes[str] = Routes()
    one = routes.add("one")
    both = keys("a", "b")

    def handles() -> list[str]:
        first = routes.of(both)
        assert routes.of(both) is first
        return [handle for handle, _ in first]

    assert handles() == []
    one.join(as_groups(["a"]))
    assert handles() == ["one"]
    routes.add("two").join(as_groups(["b", "b"]))
    assert handles() == ["one", "two"]
    one.leave(as_groups(["a"]))
    assert handles() == ["two"]
    routes.remove("two")
    assert handles() == []


def test_keys_as_they_travel_may_be_in_any_order_and_twice() -> None:
    """Who sends them is another program."""
    routes: Routes[str] = Routes()
    routes.add("one").join(as_groups(["a", "b"]))
    ((_, groups),) = routes.of(EvsGroup("b").key + EvsGroup("a").key + EvsGroup("b").key)
    assert list(map(str, groups)) == ["a", "b"]


def test_what_is_kept_of_routes_is_bounded() -> None:
    """Peers may think of new groups for ever."""
    routes: Routes[str] = Routes()
    routes.add("one")
    for number in range(5000):
        routes.of(keys(str(number)))
    assert len(routes._known) <= 1024
