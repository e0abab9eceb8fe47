"""Taking in a frame: whether it counts, and when its messages may be delivered."""

from __future__ import annotations

import pytest

from aiocpg import Address, Guarantee
from aiocpg.evs._endpoint import Counts, OwnPiece
from aiocpg.evs._endpoint.frames import Intake
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._wire import Header, Record, Triple
from aiocpg.evs._wire.header import MAGIC
from aiocpg.evs._wire.meta import ABORTED, Chunk, encode_chunk
from support.evs_parties import AGREED, FIFO, ONE, RING, SAFE, TWO, UNORDERED

ME, INCARNATION = ONE, 7


@pytest.fixture
def counts() -> Counts:
    """Provide the counters."""
    return Counts()


@pytest.fixture
def intake(counts: Counts) -> Intake:
    """Provide an intake."""
    return Intake(ME, INCARNATION, counts)


@pytest.fixture
def view() -> View:
    """Provide a view of two."""
    return View({ONE, TWO}, (), RING)


def header(seq: int, incarnation: int = INCARNATION) -> Header:
    """A header with nothing proven."""
    return Header(incarnation, seq, Triple(0, 0, 0))


def count(intake: Intake, view: View, *seqs: int, incarnation: int = INCARNATION) -> list[bool]:
    """Take in our own frames with these seqs."""
    return [intake.count(view, ME, header(seq, incarnation), MAGIC + seq.to_bytes(44, "big")) for seq in seqs]


def record(guarantee: Guarantee, data: bytes, chunk: Chunk | None = None) -> Record:
    """One message."""
    return guarantee, b"", encode_chunk(chunk) if chunk else b"", data


def test_frame_counts_once(intake: Intake, view: View, counts: Counts) -> None:
    """Who sends it again, or an older one, is not heard."""
    assert count(intake, view, 1, 1, 3, 2) == [True, False, True, False]
    assert view.chain.count == 2
    assert counts.dropped["duplicate"] == 2


def test_own_frames_that_are_missing_are_lost(intake: Intake, view: View) -> None:
    """The daemon dropped them."""
    count(intake, view, 1, 4)
    assert intake.own.lost == [2, 3]
    assert intake.seq == 4


def test_frames_of_an_earlier_life_are_not_our_own(intake: Intake, view: View) -> None:
    """Under the same address."""
    count(intake, view, 4, incarnation=INCARNATION + 1)
    assert intake.own.lost == []
    assert intake.seq == 0


def test_own_frames_missing_between_two_views_are_lost_too(intake: Intake, view: View) -> None:
    """Each view counts by itself, but our frames go on."""
    count(intake, view, 1)
    count(intake, View({ONE, TWO}, (), RING), 3)
    assert intake.own.lost == [2]


@pytest.mark.parametrize(
    ("sent", "unordered", "ordered", "safe"),
    [
        ("A", "", "A", ""),
        ("S", "", "", "S"),
        ("U", "U", "", ""),
        ("AFA", "", "AFA", ""),
        ("ASA", "", "A", "SA"),
        ("USUAF", "UU", "", "SAF"),
        ("AUSUA", "UU", "A", "SA"),
    ],
)
def test_messages_of_a_frame_are_delivered_in_three_parts(
    intake: Intake, view: View, sent: str, unordered: str, ordered: str, safe: str
) -> None:
    """What overtakes; what is only ordered; the rest from the first SAFE one on, which holds it up."""
    kinds = {"A": AGREED, "F": FIFO, "S": SAFE, "U": UNORDERED}
    records = [record(kinds[letter], letter.encode()) for letter in sent]
    taken = intake.sort(view, TWO, header(1), records, is_implied=True)
    parts = [b"".join(one[3] for one in entry.records).decode() if entry else "" for entry in taken]
    assert parts == [unordered, ordered, safe]
    assert [entry.is_safe for entry in taken if entry] == [False] * (sum(map(bool, parts[:2]))) + [True] * bool(safe)


@pytest.mark.parametrize(
    ("source", "incarnation", "seq"),
    [(ME, INCARNATION, 9), (ME, 8, 0), (TWO, INCARNATION, 0)],
    ids=["own", "old", "other"],
)
def test_entry_has_the_seq_of_our_own_frame(
    intake: Intake, view: View, source: Address, incarnation: int, seq: int
) -> None:
    """Which settles our tickets; of all others it has none."""
    taken = intake.sort(view, source, header(9, incarnation), [record(AGREED, b"a")], is_implied=False)
    assert taken.ordered
    assert taken.ordered.seq == seq


def test_last_piece_makes_the_message(intake: Intake, view: View) -> None:
    """The pieces before it make nothing."""
    first = intake.sort(view, TWO, header(1), [record(SAFE, b"ab", Chunk(1, 0, 3))], is_implied=False)
    assert first == (None, None, None)
    last = intake.sort(view, TWO, header(2), [record(SAFE, b"c", Chunk(1, 1, 3))], is_implied=False)
    assert last.safe
    assert last.safe.records[0][3] == b"abc"
    assert intake.own.pieces == []


def test_of_own_pieces_is_told_where_they_stand(intake: Intake, view: View) -> None:
    """So that their sender knows whether to begin anew."""
    other = View({ONE}, {ONE}, RING)
    places = [(view, 0), (view, 1), (other, 2), (other, ABORTED)]
    for seq, (where, place) in enumerate(places, 1):
        intake.sort(where, ME, header(seq), [record(AGREED, b"a", Chunk(5, place, 9))], is_implied=False)
    stand = [OwnPiece(1, 5, view, False), OwnPiece(2, 5, view, False)]
    assert intake.own.pieces == [*stand, OwnPiece(3, 5, None, False), OwnPiece(4, 5, None, False)]


def test_of_the_last_own_piece_is_told_that_it_is_whole(intake: Intake, view: View) -> None:
    """It stands nowhere then, but in the order."""
    for place in (0, 1):
        intake.sort(view, ME, header(place + 1), [record(AGREED, b"a", Chunk(5, place, 2))], is_implied=False)
    assert intake.own.pieces[-1] == OwnPiece(2, 5, None, True)
