"""What instances say to one another, and how it travels. Whatever else comes in the group is shown as a line."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

MAX_TEXT = 500
"""Characters that a line shows; what others send may be longer."""


@dataclass(frozen=True)
class Line:
    """Something to show. Lines that have an ``id`` may be sent again by who does not know whether they came."""

    text: str
    id: str = ""


@dataclass(frozen=True)
class Name:
    """What the sender is called."""

    name: str


@dataclass(frozen=True)
class Check:
    """A question to all: what have you read up to here? Here is its place in the order."""

    token: str


@dataclass(frozen=True)
class Answer:
    """How many lines the sender had read since the check before, and what they come to."""

    token: str
    count: int
    digest: str


Saying: TypeAlias = Line | Name | Check | Answer

KINDS: dict[str, type[Saying]] = {"line": Line, "name": Name, "check": Check, "answer": Answer}
FIELDS: dict[type[Saying], dict[str, type]] = {
    Line: {"text": str, "id": str},
    Name: {"name": str},
    Check: {"token": str},
    Answer: {"token": str, "count": int, "digest": str},
}


def encoded(saying: Saying) -> bytes:
    """Return a saying as it travels."""
    return json.dumps({"say": type(saying).__name__.lower(), **asdict(saying)}).encode()


def decoded(data: bytes) -> Saying:
    """Return what was said. It never raises: any program may be in the group, and say what it likes."""
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return _anything(data)
    if not isinstance(fields, dict) or not isinstance(fields.get("say"), str):
        return _anything(data)
    kind = KINDS.get(fields.pop("say"))
    if kind is None or {name: type(value) for name, value in fields.items()} != FIELDS[kind]:
        return _anything(data)
    saying = kind(**fields)
    return Line(saying.text[:MAX_TEXT], saying.id) if isinstance(saying, Line) else saying


def _anything(data: bytes) -> Line:
    return Line(data[: 4 * MAX_TEXT].decode(errors="replace")[:MAX_TEXT])
