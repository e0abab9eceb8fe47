"""What programs may find in their group that is not of their kind, for those that have to pass it over."""

from __future__ import annotations

import json
from typing import Any


def _json(said: Any) -> bytes:
    return json.dumps(said).encode()


RUBBISH: dict[str, bytes] = {
    "nothing": b"",
    "words": b"rubbish",
    "no text": b"\xff\xfe\x00",
    "a number": b"3",
    "no number": b"NaN",
    "infinity": b"1e999",
    "a string": b'"abc"',
    "null": b"null",
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a list in a list": b"[[]]",
    "a list of objects": b'[{}, "a", "b"]',
    "an object of others": b'{"kind": "add", "value": 3}',
    "nested without end": b"[" * 100_000,
    "a number without end": b"9" * 5_000,
    "half a character": _json(["\ud800", "\ud800", "\ud800"]),
}
"""By what it is. To programs that read any line, some of it is one; to the others it is nothing."""

# Nearly right, each: the kinds that the examples know, with too little, too much, or something else in them.
for _kind, *_rest in (
    ["add"],
    ["add", "history"],
    ["add", "history", "three"],
    ["add", "history", True],
    ["add", "history", 1.5],
    ["add", "history", 10**4000],
    ["add", "history", ["key"]],
    ["add", "history", ["key", 3]],
    ["add", "history", [["key"], "text"]],
    ["add", "history", ["key", "x" * 100_000]],
    ["add", {}, 1],
    ["add", "history", 1, 1],
    ["ask"],
    ["ask", 3],
    ["ask", "t" * 1_000_000],
    ["claim", None],
    ["state", "t", True, "history", 10**4000, 1],
    ["state", "t", True, "history", -1, 1],
    ["state", "t", True, "history", True, 1],
    ["state", "t", 1, "history", 1, 1],
    ["state", "t", True, "history", 1, [1]],
    ["state", "t", True, "history", 1, {"key": 1}],
    ["state", "t", True, "history"],
    ["job"],
    ["job", "t"],
    ["job", "t", 3],
    ["job", {}, "sweep"],
    ["job", "t", "\ud800"],
    ["job", "t" * 1_000, "sweep"],
    ["job", "t", "\xff" * 100_000],
    ["question", "who", {}],
    ["question", "who"],
    ["question", ["who"], "t"],
    ["question", "\ud800", "t"],
    ["question", "\xff" * 100_000, "t"],
    ["question", "who", "t" * 1_000],
    ["answer", 3, "t"],
):
    RUBBISH[f"{_kind} {len(RUBBISH)}"] = _json([_kind, *_rest])
for _entry in ({"id": "7"}, {"id": 7, "text": "a"}, {"id": "7", "text": ["a"]}, {"id": [], "text": "\ud800"}):
    RUBBISH[f"entry {len(RUBBISH)}"] = _json(_entry)
