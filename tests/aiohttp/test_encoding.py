"""Events as browsers get them."""

from __future__ import annotations

import json
from typing import Any

import pytest

import aiocpg
from aiocpg.aiohttp import encode_json

ME = aiocpg.Address(1, 42)
OTHER = aiocpg.Address(2, 7)
VIEW = aiocpg.View(
    b"orders", (ME, OTHER), {OTHER: aiocpg.Reason.NODEUP}, {}, aiocpg.RingId(1, 0x4C), number=3, position=9
)


def told(event: aiocpg.Event) -> Any:
    """Return what a browser's JSON.parse makes of it."""
    text = encode_json(event, "x-7")
    assert text is not None
    return json.loads(text)


@pytest.mark.parametrize(
    ("data", "payload"),
    [
        (b"hello", {"payload": "hello"}),
        ("grüße".encode(), {"payload": "grüße"}),
        (b"", {"payload": ""}),
        (b"\xff\x00", {"payload_base64": "/wA="}),
    ],
)
def test_message_has_its_place_its_sender_and_its_view(data: bytes, payload: dict[str, str]) -> None:
    """Text stays text; what is none comes in a field of another name."""
    assert told(aiocpg.Message(b"orders", OTHER, data, 10, VIEW)) == {
        "type": "message",
        "id": "x-7",
        "position": 10,
        "sender": "2:7",
        "view": {"number": 3, "ring": "1.4c"},
        **payload,
    }


def test_view_tells_who_is_there_and_who_came_and_went() -> None:
    """With the reasons, by their names."""
    assert told(VIEW) == {
        "type": "view",
        "id": "x-7",
        "position": 9,
        "number": 3,
        "ring": "1.4c",
        "members": ["1:42", "2:7"],
        "joined": {"2:7": "NODEUP"},
        "left": {},
    }


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        (aiocpg.RingChange(aiocpg.RingId(1, 16), (1, 2)), {"type": "ring", "ring": "1.10", "nodes": [1, 2]}),
        (aiocpg.Disconnected("killed"), {"type": "away", "reason": "killed"}),
        (aiocpg.DaemonStalled(2.5), {"type": "stalled", "silent_for": 2.5}),
        (aiocpg.DaemonResumed(3.5), {"type": "resumed", "silent_for": 3.5}),
    ],
)
def test_what_happens_to_the_instance_is_told(event: aiocpg.Event, fields: dict[str, object]) -> None:
    """Rings, gaps and stalls are events for browsers, too."""
    assert told(event) == {**fields, "id": "x-7"}


def test_configuration_changes_are_left_to_the_views() -> None:
    """A ring change comes as several of them."""
    assert encode_json(aiocpg.ConfigurationChange(b"orders", (ME,), (), ()), "x-7") is None
