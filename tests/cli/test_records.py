"""Events as records for programs and as lines for people."""

from __future__ import annotations

import json

import pytest

from aiocpg import Address, Message, Reason, RingChange, RingId, SlowConsumerError, View
from aiocpg.cli._records import Fact, of_gap, of_message, of_ring, of_view

ME, OTHER = Address(1, 7), Address(2, 9)


def view(joined: dict[Address, Reason] | None = None, left: dict[Address, Reason] | None = None) -> View:
    return View(b"g", (ME, OTHER), joined or {}, left or {}, RingId(1, 12), 3, 5)


def line(fact: Fact) -> str:
    json.dumps(fact.record)
    return "".join(text for text, _ in fact.line)


@pytest.mark.parametrize(
    ("data", "content", "shown"),
    [
        (b"hello", {"text": "hello"}, "2:9 hello"),
        (b"a\nb", {"text": "a\nb"}, "2:9 a\\nb"),
        (b"\xff\0", {"base64": "/wA="}, "2:9 \\xff\\x00"),
        (b"\0aiocpg ping ab", {"ping": "ab"}, "2:9 pings"),
        (b"\0aiocpg pong ab", {"pong": "ab"}, "2:9 answers the ping"),
    ],
)
def test_message_is_text_bytes_or_a_ping(data: bytes, content: dict[str, str], shown: str) -> None:
    """One of ``text``, ``base64``, ``ping`` and ``pong`` says which."""
    fact = of_message(Message(b"g", OTHER, data, 6, view()))
    assert fact.record == {"event": "message", "group": "g", "sender": "2:9", "position": 6, "view": 3} | content
    assert line(fact) == shown


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (view(joined={ME: Reason.JOIN}), "joined g as 1:7, with 2:9"),
        (view(joined={OTHER: Reason.NODEUP}), "+ 2:9 NODEUP"),
        (view(left={OTHER: Reason.PROCDOWN}), "- 2:9 PROCDOWN"),
        (view(joined={OTHER: Reason.JOIN}, left={OTHER: Reason.LEAVE}), "- 2:9 LEAVE + 2:9 JOIN"),
        (view(), "= ring 1.c, all stayed"),
    ],
)
def test_view_says_who_went_and_who_came(change: View, shown: str) -> None:
    """In this order, because who is in both was away in between."""
    assert line(of_view(change, ME)) == shown


def test_view_is_a_record_with_all_of_it() -> None:
    """Members, and both mappings by address."""
    assert of_view(view(left={OTHER: Reason.LEAVE}), ME).record == {
        "event": "view",
        "group": "g",
        "number": 3,
        "position": 5,
        "ring": "1.c",
        "members": ["1:7", "2:9"],
        "joined": {},
        "left": {"2:9": "LEAVE"},
    }


def test_ring_and_gap_are_told() -> None:
    """They are records like the others."""
    assert line(of_ring(RingChange(RingId(1, 12), (1, 2)))) == "ring 1.c, nodes 1 2"
    assert of_gap(SlowConsumerError(4, 100)).record == {"event": "lost", "lost": 4}
