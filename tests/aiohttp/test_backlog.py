"""What is kept of what was told: bounded, numbered, and honest about what is gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg.aiohttp._backlog import FRAME_COST, Backlog, frame


def filled(*texts: str, max_bytes: int = 10_000) -> Backlog:
    """Return a backlog that was told these."""
    backlog = Backlog(max_bytes)
    for text in texts:
        backlog.append(frame(text))
    return backlog


def told_from(backlog: Backlog, place: int) -> list[str]:
    """Return what a reader gets who begins at a place."""
    frames = [backlog.at(number) for number in range(place, backlog.next)]
    return [kept.data.decode() for kept in frames if kept is not None]


def test_text_and_bytes_become_different_messages() -> None:
    """A browser gets a string for the one and a Blob for the other."""
    assert frame("ä") == ("ä".encode(), True)
    assert frame(b"\xff") == (b"\xff", False)


def test_reader_goes_on_behind_what_it_had() -> None:
    """The id of one frame leads to the next; the newest leads to what will come."""
    backlog = filled("a", "b", "c")
    assert backlog.after(backlog.id_of(1)) == 2
    assert told_from(backlog, 2) == ["b", "c"]
    assert backlog.after(backlog.last_id) == backlog.next


def test_id_from_before_the_first_frame_is_a_place() -> None:
    """Who connects first and comes back gets everything."""
    backlog = Backlog(1000)
    before = backlog.last_id
    backlog.append(frame("a"))
    assert backlog.after(before) == 1


def test_next_id_is_the_id_that_the_next_frame_has() -> None:
    """It is put into the frame before the frame is there."""
    backlog = filled("a")
    promised = backlog.next_id
    backlog.append(frame("b"))
    assert backlog.last_id == promised


@pytest.mark.parametrize(
    "foreign",
    ["", "-", "1", "a-1", "NAME-0x1", "NAME-", "NAME--1", "NAME-4", "NAME-²", "NAME-" + "9" * 5000, "other-NAME-1"],
)
def test_id_that_is_no_place_here_is_refused(foreign: str) -> None:
    """Of another instance, from the future, or made up: going on there would leave something out in silence."""
    backlog = filled("a", "b")
    name = backlog.last_id.rpartition("-")[0]
    assert backlog.after(foreign.replace("NAME", name)) is None


def test_two_backlogs_never_take_each_others_ids() -> None:
    """An instance that was restarted counts anew."""
    assert filled("a", "b").after(filled("a").last_id) is None


def test_newest_is_kept_even_if_it_is_larger_than_all_room() -> None:
    """Otherwise nobody could ever get it."""
    backlog = filled("a", "b" * 5000, max_bytes=1000)
    assert told_from(backlog, backlog.oldest) == ["b" * 5000]


@given(st.lists(st.integers(0, 400), max_size=60), st.integers(300, 3000))
def test_what_is_kept_is_the_end_of_what_was_told_and_bounded(sizes: list[int], limit: int) -> None:
    """Going on is possible exactly where nothing is missing."""
    backlog = Backlog(limit)
    texts = [f"{number}:" + "x" * size for number, size in enumerate(sizes)]
    ids = [backlog.last_id]
    for text in texts:
        backlog.append(frame(text))
        ids.append(backlog.last_id)
    kept = told_from(backlog, backlog.oldest)
    assert kept == texts[len(texts) - len(kept) :]
    assert sum(len(text) + FRAME_COST for text in kept) <= limit or len(kept) == 1
    for had, one in enumerate(ids):
        place = backlog.after(one)
        assert (place is not None) == (had >= len(texts) - len(kept))
        if place is not None:
            assert told_from(backlog, place) == texts[had:]
