"""What an endpoint says: each frame with its seq and the triple it was given, in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiocpg.evs._endpoint.speaker import Speaker
from aiocpg.evs._endpoint.statistics import Counts
from aiocpg.evs._wire import Answer, Body, Evict, Query, Triple, parse
from aiocpg.evs._wire.header import FLAG_CRC
from support.evs_parties import AGREED, ONE, SAFE, TWO, body

HERE = Triple(7, 8, 9)


@pytest.fixture
def speaker() -> Speaker:
    """Provide one of incarnation 5."""
    return Speaker(5, Counts(), flags=0)


SAYINGS: dict[str, tuple[Callable[[Speaker], object], Body]] = {
    "ack": (lambda speaker: speaker.acknowledge(HERE), Query(0, ())),
    "probe": (lambda speaker: speaker.probe(HERE), Query(0, ())),
    "request": (lambda speaker: speaker.ask(HERE), Query(1, ())),
    "final": (lambda speaker: speaker.final(HERE), None),
    "evict": (lambda speaker: speaker.evict(HERE, TWO), Evict(TWO, 0)),
    "data": (lambda speaker: speaker.data(HERE, body((AGREED, b"a"))[0], is_safe=False), [(AGREED, b"", b"", b"a")]),
}


@pytest.mark.parametrize(("kind", "saying"), SAYINGS.items(), ids=SAYINGS.keys())
def test_frame_says_what_it_is_told_to(kind: str, saying: tuple[Callable[[Speaker], object], Body]) -> None:
    """And is counted under its kind."""
    counts = Counts()
    speaker = Speaker(5, counts, flags=0)
    say, expected = saying
    say(speaker)
    header, found = parse(speaker.frames[0])
    assert (header.incarnation, header.seq, header.triple) == (5, 1, HERE)
    assert found == expected
    assert counts.sent == {kind: 1}


def test_seqs_count_all_frames(speaker: Speaker) -> None:
    """Whatever they are."""
    speaker.acknowledge(HERE)
    speaker.final(HERE)
    assert speaker.data(HERE, body((SAFE, b"a"))[0], is_safe=True) == 3
    assert [parse(frame)[0].seq for frame in speaker.frames] == [1, 2, 3]
    assert speaker.seq == 3


def test_who_asks_twice_is_answered_the_newer_question(speaker: Speaker) -> None:
    """All that is owed is in one frame."""
    for address, token in ((ONE, 1), (TWO, 7), (ONE, 2)):
        speaker.owe(address, token)
    speaker.answer(HERE)
    assert parse(speaker.frames[0])[1] == Query(0, (Answer(TWO, 7), Answer(ONE, 2)))
    assert speaker.owes == []


def test_tokens_are_never_0_and_differ(speaker: Speaker) -> None:
    """0 is no question."""
    speaker._token = 0xFFFFFFFE
    for _ in range(3):
        speaker.ask(HERE)
    bodies = [parse(frame)[1] for frame in speaker.frames]
    assert [one.token for one in bodies if isinstance(one, Query)] == [0xFFFFFFFF, 1, 2]


def test_every_frame_is_checksummed_where_that_is_wanted() -> None:
    """Its receiver sees it."""
    speaker = Speaker(5, Counts(), flags=FLAG_CRC)
    speaker.final(HERE)
    speaker.acknowledge(HERE)
    assert all(parse(frame)[0].flags & FLAG_CRC for frame in speaker.frames)
