"""What the fan-out says for itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import aiocpg
from aiocpg.aiohttp import _words as words

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "aiohttp.md"
ME = aiocpg.Address(1, 42)
VIEW = aiocpg.View(b"orders", (ME,), {}, {}, aiocpg.RingId(1, 4), number=1, position=0)
START = words.Standing(None, "here")


def test_standing_follows_the_events() -> None:
    """Somebody who connects while the daemon is away or stalled must know, although it was told before."""
    with_view = words.standing_after(START, VIEW)
    assert with_view == words.Standing(VIEW, "here")
    assert words.standing_after(with_view, aiocpg.DaemonStalled(2)) == words.Standing(VIEW, "stalled")
    stalled = words.standing_after(with_view, aiocpg.DaemonStalled(2))
    assert words.standing_after(stalled, aiocpg.DaemonResumed(3)) == with_view
    away = words.standing_after(stalled, aiocpg.Disconnected("killed"))
    assert away == words.Standing(None, "away")
    assert words.standing_after(away, VIEW) == with_view


def test_standing_is_not_changed_by_other_items() -> None:
    """Sources of our users hand out what they like."""
    assert words.standing_after(START, ("an", "item")) is START


@pytest.mark.parametrize("verdict", [words.GOING_AWAY, words.LEFT, words.LOST, words.SLOW])
def test_verdict_fits_a_close_frame(verdict: words.Verdict) -> None:
    """A close frame has 125 bytes, two of which are the code."""
    assert len(verdict.reason.encode("ascii")) <= 123


def test_end_says_why() -> None:
    """The class of the error for programs, its text for people; a group that was left is no error."""
    error = json.loads(words.end(aiocpg.ConnectionLostError("killed"), "x-1"))
    assert error == {
        "type": "end",
        "error": "ConnectionLostError",
        "reason": "connection lost: killed",
        "id": "x-1",
    }
    assert json.loads(words.end(None, "x-1"))["error"] is None


def test_gap_says_how_much_where_that_is_known() -> None:
    """An instance that lagged knows it; for a browser that was away nobody counted."""
    assert json.loads(words.gap("slow", 3, "x-1")) == {"type": "gap", "reason": "slow", "lost": 3, "id": "x-1"}


def test_reference_lists_every_word_and_every_code() -> None:
    """Who writes a page finds there what may come."""
    page = REFERENCE.read_text()
    words_told, codes = (
        {
            word
            for cell in re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE)
            for word in re.findall(r"`(\w+)`|(\d{4})", cell)
        }
        for table in page.partition("| close code |")[::2]
    )
    told = {"message", "view", "ring", "away", "stalled", "resumed", "hello", "gap", "end"}
    assert {word for word, _ in words_told} == told
    verdicts = (words.GOING_AWAY, words.LEFT, words.LOST, words.SLOW)
    assert {int(code) for _, code in codes} == {verdict.code for verdict in verdicts} | {1009}
