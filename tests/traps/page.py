"""The page about the traps, read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "traps.md"

_ROW = re.compile(r"^\| *(?P<number>\d+) *\|(?P<trap>[^|]+)\|(?P<promise>[^|]+)\|(?P<tests>[^|]+)\|$", re.MULTILINE)


class Row(NamedTuple):
    """One line of the table."""

    number: int
    trap: str
    promise: str
    tests: list[str]


def rows() -> list[Row]:
    """Return the lines of the table."""
    return [
        Row(int(row["number"]), row["trap"].strip(), row["promise"].strip(), re.findall(r"`([^`]+)`", row["tests"]))
        for row in _ROW.finditer(PAGE.read_text())
    ]


def says(sentence: str) -> bool:
    """Whether the page has these words, however they are broken into lines and whether they are stressed."""
    return sentence in " ".join(PAGE.read_text().replace("*", "").split())
