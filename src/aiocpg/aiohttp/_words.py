"""What the fan-out itself tells browsers, beside the events: where they are, what is missing, why it ends."""

from __future__ import annotations

from typing import Literal, NamedTuple

import aiocpg
from aiocpg.aiohttp._encoding import dumps, view_fields


class Verdict(NamedTuple):
    """Why a browser is closed."""

    code: int
    reason: str
    """At most 123 bytes of ASCII: what fits a close frame."""


GOING_AWAY = Verdict(1001, "this instance is stopping; connect again")
LEFT = Verdict(1001, "this instance has left the group; connect again")
LOST = Verdict(1011, "the stream has ended; see the message before")
SLOW = Verdict(1013, "too slow; connect again")

NOT_KEPT = "what came after that place is not kept here"


class Standing(NamedTuple):
    """How things stand at a place of the stream, as far as items told."""

    view: aiocpg.View | None
    """The view in force; None where there is none."""
    daemon: Literal["here", "stalled", "away"]


def standing_after(before: Standing, item: object) -> Standing:
    """How things stand behind an item."""
    match item:
        case aiocpg.View():
            return Standing(item, "here")
        case aiocpg.Disconnected():
            return Standing(None, "away")
        case aiocpg.DaemonStalled():
            return before._replace(daemon="stalled")
        case aiocpg.DaemonResumed():
            return before._replace(daemon="here")
    return before


def hello(group: aiocpg.Group, id: str, standing: Standing, *, continues: bool) -> str:
    """The first word: what follows begins behind ``id``."""
    return dumps(
        {
            "type": "hello",
            "id": id,
            "continues": continues,
            "group": group.name.decode(errors="backslashreplace"),
            "me": str(group.me),
            "view": None if standing.view is None else view_fields(standing.view),
            "daemon": standing.daemon,
        }
    )


def gap(reason: str, lost: int | None, id: str) -> str:
    """Something is missing here; ``lost`` says how much, where that is known."""
    return dumps({"type": "gap", "reason": reason, "lost": lost, "id": id})


def end(error: Exception | None, id: str) -> str:
    """The last word: nothing more comes from this instance, and why."""
    name, reason = (None, LEFT.reason) if error is None else (type(error).__name__, str(error))
    return dumps({"type": "end", "error": name, "reason": reason, "id": id})
