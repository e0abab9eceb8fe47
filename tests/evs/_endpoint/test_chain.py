"""The chain: what it answers, and what it forgets."""

from __future__ import annotations

import pytest

from aiocpg.evs._endpoint import chain
from aiocpg.evs._endpoint.chain import Chain


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep few values, so that few are needed."""
    monkeypatch.setattr(chain, "KEPT", 3)
    monkeypatch.setattr(chain, "_SLACK", 2)


def of(*identities: bytes) -> Chain:
    """A chain of these."""
    one = Chain()
    for identity in identities:
        one.add(identity)
    return one


def test_the_same_frames_have_the_same_value_at_each_count() -> None:
    """Which is what an acknowledgement proves."""
    one, other = of(b"a", b"b", b"c"), Chain()
    for identity in (b"a", b"b", b"c"):
        place = other.add(identity)
        assert one.has(place, other.value)


@pytest.mark.parametrize("others", [(b"a", b"x"), (b"b", b"a"), (b"ab",)], ids=["another", "another order", "one"])
def test_other_frames_have_another_value(others: tuple[bytes, ...]) -> None:
    """Whichever differs."""
    other = of(*others)
    assert not of(b"a", b"b").has(other.count, other.value)


@pytest.mark.parametrize("count", [0, 3, -1])
def test_nothing_is_known_outside(count: int) -> None:
    """Of no frames at all nobody can prove anything."""
    one = of(b"a", b"b")
    assert not one.has(count, one.value)
    assert not one.has(count, 0)


def test_old_values_are_forgotten_at_the_same_frame_whatever_was_deleted() -> None:
    """What is answered does not depend on when values are deleted, so all members answer the same."""
    one, values = Chain(), [0]
    for place in range(1, 30):
        one.add(b"%d" % place)
        values.append(one.value)
        one.forget(None)
        known = [count for count in range(1, place + 1) if one.has(count, values[count])]
        assert known == list(range(max(1, place - 3), place + 1))


def test_values_from_the_first_unstable_message_on_are_kept() -> None:
    """It waits for acknowledgements of them."""
    one = of(b"a")
    second = one.add(b"b"), one.value
    for _ in range(20):
        one.add(b"x")
        one.forget(2)
    assert one.has(*second)
    one.forget(None)
    assert not one.has(*second)
