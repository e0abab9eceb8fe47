"""What instances say to one another, and how it travels. Whatever else comes in the group is shown as a line."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

MAX_TEXT = 300
"""Characters that a line shows; what others send may be longer."""
MAX_ID = 70
"""Characters of an id, printable ASCII; any other is none."""
MAX_NAME = 40
"""Characters of a name."""
MAX_WORD = 40
"""Characters of a token, an address, a digest. Tokens come back in answers, which have to fit into a message."""
MOST = 2**53
"""What is counted is less; a page knows no larger numbers."""


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


@dataclass(frozen=True)
class Ask:
    """A question to one, from one that has come: what does your list have up to here?"""

    token: str
    who: str


@dataclass(frozen=True)
class History:
    """The answer: entries as pages get them, and the ids of lines that are not to be shown again."""

    token: str
    entries: list[dict[str, Any]]
    ids: list[str]


Saying: TypeAlias = Line | Name | Check | Answer | Ask | History

FIELDS: dict[type[Saying], dict[str, type]] = {
    Line: {"text": str, "id": str},
    Name: {"name": str},
    Check: {"token": str},
    Answer: {"token": str, "count": int, "digest": str},
    Ask: {"token": str, "who": str},
    History: {"token": str, "entries": list, "ids": list},
}
KINDS = {kind.__name__.lower(): kind for kind in FIELDS}


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
    match kind(**fields):
        case Line(text=text, id=id_):
            is_id = id_.isascii() and id_.isprintable() and len(id_) <= MAX_ID
            return Line(text[:MAX_TEXT], id_ if is_id else "")
        case Name(name=name):
            return Name(name[:MAX_NAME])
        case saying:
            return saying if _is_ours(saying) else _anything(data)


def _is_ours(saying: Saying) -> bool:
    """Whether an instance could have said it: what it makes us say must fit into a message, and pages must read it."""
    match saying:
        case Check(token=token):
            return _is_word(token)
        case Answer(token=token, count=count, digest=digest):
            return _is_word(token) and _is_number(count) and _is_word(digest)
        case Ask(token=token, who=who):
            return _is_word(token) and _is_word(who)
        case History(token=token, entries=entries, ids=ids):
            return _is_word(token) and all(map(_is_entry, entries)) and _are_texts(ids, MAX_ID)
    return True


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or entry.get("type") != "entry":
        return False
    match entry:
        case {"kind": "line", "number": number, "name": str(), "text": str(), "id": str(), "at": int() | float() as at}:
            return len(entry) == 7 and _is_number(number) and 0 <= at < MOST
        case {"kind": "view", "ring": str(), "members": [*members], "joined": [*joined], "left": [*left]}:
            return len(entry) == 6 and _are_texts(members) and all(map(_is_change, (*joined, *left)))
        case {"kind": "gap", "reason": str()}:
            return len(entry) == 3
    return False


def _is_change(change: object) -> bool:
    return isinstance(change, list) and len(change) == 2 and _are_texts(change)


def _are_texts(items: list[Any], most: float = math.inf) -> bool:
    return all(isinstance(item, str) and len(item) <= most for item in items)


def _is_word(word: str) -> bool:
    return len(word) <= MAX_WORD


def _is_number(number: object) -> bool:
    return type(number) is int and 0 <= number < MOST


def _anything(data: bytes) -> Line:
    return Line(data[: 4 * MAX_TEXT].decode(errors="replace")[:MAX_TEXT])
