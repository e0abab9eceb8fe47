"""A message in pieces: which is next, and when it begins anew."""

from __future__ import annotations

import pytest

from aiocpg.evs._pieces import Pieces
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._wire.meta import ABORTED, Chunk, chunk_of, encode_trace, trace_of
from support.evs_parties import SAFE

VIEW, NEXT = object(), object()


def pieces(data: bytes = b"abcdefgh", size: int = 3) -> Pieces:
    """A message that has begun, under id 5."""
    one = Pieces(SAFE, b"k" * 32, data, size, Ticket())
    assert one.needs_start
    one.start(5)
    return one


def rest(one: Pieces) -> list[tuple[Chunk | None, bytes]]:
    """All pieces that are left."""
    found = []
    while not one.is_out:
        guarantee, keys, meta, data = one.next()
        assert (guarantee, keys) == (SAFE, b"k" * 32)
        found.append((chunk_of(meta), data))
    return found


@pytest.mark.parametrize(
    ("data", "expected"), [(b"abcdefgh", [b"abc", b"def", b"gh"]), (b"abcdef", [b"abc", b"def"]), (b"a", [b"a"])]
)
def test_pieces_are_the_message(data: bytes, expected: list[bytes]) -> None:
    """Each says which it is, and how large the whole is."""
    assert rest(pieces(data)) == [(Chunk(5, place, len(data)), part) for place, part in enumerate(expected)]


def test_what_a_message_carries_besides_goes_with_each_piece() -> None:
    """The last one is what the message is put together with."""
    one = Pieces(SAFE, b"k" * 32, b"abcdefgh", 3, Ticket(), encode_trace(b"context"))
    one.start(5)
    metas = [one.next()[2] for _ in range(3)]
    assert [(trace_of(meta), chunk_of(meta)) for meta in metas] == [
        (b"context", Chunk(5, place, 8)) for place in range(3)
    ]


def test_it_begins_anew_from_the_first_piece_under_another_id() -> None:
    """The old ones are nobody's then."""
    one = pieces()
    one.next()
    one.lose(5)
    assert one.needs_start
    one.start(6)
    assert rest(one)[0] == (Chunk(6, 0, 8), b"abc")
    assert one.starts == 2


def test_it_does_not_begin_anew_because_the_view_has_changed() -> None:
    """All that is out may stand in the new one."""
    one = pieces()
    rest(one)
    one.look(VIEW)
    one.look(NEXT)
    assert not one.needs_start


def test_it_begins_anew_once_the_view_of_its_first_pieces_is_over() -> None:
    """The others cannot stand there any more."""
    one = pieces()
    one.came_back(5, VIEW)
    one.look(VIEW)
    assert not one.needs_start
    one.look(NEXT)
    assert one.needs_start
    assert not one.is_out


def test_it_begins_anew_when_a_piece_did_not_fit() -> None:
    """One before it was not there."""
    one = pieces()
    one.came_back(5, None)
    assert one.needs_start


def test_what_befalls_pieces_of_an_older_attempt_is_nothing_to_this_one() -> None:
    """It may be whole already where the others are."""
    one = pieces()
    one.lose(5)
    one.start(6)
    one.lose(5)
    one.came_back(5, None)
    one.came_back(5, VIEW)
    one.look(NEXT)
    assert not one.needs_start


def test_what_is_whole_never_begins_anew() -> None:
    """It stands in the order."""
    one = pieces()
    one.is_whole = True
    one.lose(5)
    one.look(NEXT)
    assert not one.needs_start


def test_who_gives_up_tells_the_others() -> None:
    """So that they forget what they have."""
    one = pieces()
    assert one.abort() is None
    one.next()
    record = one.abort()
    assert record
    assert chunk_of(record[2]) == Chunk(5, ABORTED, 8)


def test_there_is_nothing_to_give_up_once_it_is_whole() -> None:
    """They have delivered it, or will."""
    one = pieces()
    one.next()
    one.is_whole = True
    assert one.abort() is None
