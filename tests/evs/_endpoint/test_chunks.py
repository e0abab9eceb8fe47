"""Putting together messages in pieces: whole or not at all, and no sender makes a receiver keep more than it sent."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg._events import Address
from aiocpg.evs._endpoint.chunks import MAX_MESSAGE, Assembly
from aiocpg.evs._wire.meta import ABORTED, Chunk

ONE, TWO = Address(1, 10), Address(2, 20)


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8))
def test_pieces_become_the_message_with_the_last(pieces: list[bytes]) -> None:
    """And not before, and nothing is kept."""
    assembly, total = Assembly(), sum(map(len, pieces))
    *early, last = [assembly.take(ONE, 7, Chunk(3, place, total), piece) for place, piece in enumerate(pieces)]
    assert (set(early) <= {None}, last) == (True, b"".join(pieces))
    assert assembly.held == 0


def test_messages_of_two_senders_may_be_under_way_at_once() -> None:
    """Under the same id."""
    assembly = Assembly()
    assert assembly.take(ONE, 7, Chunk(1, 0, 2), b"a") is None
    assert assembly.take(TWO, 7, Chunk(1, 0, 2), b"x") is None
    assert assembly.take(ONE, 7, Chunk(1, 1, 2), b"b") == b"ab"
    assert assembly.take(TWO, 7, Chunk(1, 1, 2), b"y") == b"xy"


def test_empty_message_may_come_as_a_piece() -> None:
    """Nobody has to send it so."""
    assert Assembly().take(ONE, 7, Chunk(1, 0, 0), b"") == b""


@pytest.mark.parametrize(
    "wrong",
    [
        (Chunk(1, 2, 9), b"c"),
        (Chunk(1, 1, 8), b"b"),
        (Chunk(1, 1, 9), b"b" * 9),
        (Chunk(1, ABORTED, 9), b""),
        (Chunk(1, 0, MAX_MESSAGE + 1), b"a"),
    ],
    ids=["a gap", "another size", "too much", "given up", "too large"],
)
def test_message_is_given_up_when_a_piece_does_not_fit(wrong: tuple[Chunk, bytes]) -> None:
    """What came of it is forgotten, and what still comes as well."""
    assembly = Assembly()
    assembly.take(ONE, 7, Chunk(1, 0, 9), b"a")
    assert assembly.take(ONE, 7, *wrong) is None
    assert assembly.held == 0
    assert assembly.take(ONE, 7, Chunk(1, 1, 9), b"bcdefghi") is None


@pytest.mark.parametrize("stray", [(8, Chunk(1, 1, 2)), (7, Chunk(2, 1, 2))], ids=["another life", "another id"])
def test_stray_piece_changes_nothing(stray: tuple[int, Chunk]) -> None:
    """It is the rest of what began before the view."""
    assembly = Assembly()
    assembly.take(ONE, 7, Chunk(1, 0, 2), b"a")
    assert assembly.take(ONE, *stray, b"x") is None
    assert assembly.take(ONE, 7, Chunk(1, 1, 2), b"b") == b"ab"


def test_sender_has_one_message_under_way_whatever_lives_it_claims() -> None:
    """A thousand incarnations, a message begun in each: the newest is kept."""
    assembly = Assembly()
    for incarnation in range(1, 1000):
        assembly.take(ONE, incarnation, Chunk(1, 0, MAX_MESSAGE), bytes(100))
    assert assembly.held == 100


@pytest.mark.parametrize("size", [0, 2])
def test_many_small_pieces_take_no_more_than_their_bytes(size: int) -> None:
    """A message of a claimed gigabyte in ten thousand pieces of next to nothing."""
    assembly = Assembly()
    tracemalloc.start()
    try:
        for place in range(10_000):
            assembly.take(ONE, 7, Chunk(1, place, MAX_MESSAGE), bytes(size))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert assembly.held == 10_000 * size
    assert used < 1.2 * assembly.held + 4096
