"""Runs the rows one after another, round by round, so that what is compared was measured in the same minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from . import engines, evs, rows
from .bench import Bench, Settings, opened
from .figures import Measurement

Row: TypeAlias = Callable[[Bench, int], Iterator[Measurement]]

ROWS: dict[str, Row] = {
    "sizes": rows.sizes,
    "groups": rows.groups,
    "iterators": rows.iterators,
    "nodes": rows.nodes,
    "memory": rows.memory,
    "evs": evs.measure,
    "engines": engines.measure,
}


def run(settings: Settings, tell: Callable[[str], None]) -> list[Measurement]:
    """
    Make all measurements.

    Args:
        settings: What to measure.
        tell: Gets a line when something begins.

    Raises:
        BenchmarkError: One of them failed.
    """
    with opened(settings, tell) as bench:
        return [one for number in range(1, settings.rounds + 1) for one in _round(bench, number)]


def _round(bench: Bench, number: int) -> Iterator[Measurement]:
    for name in bench.settings.rows:
        place = f"round {number} of {bench.settings.rounds}, {name}"
        bench.tell(place)
        yield from ROWS[name](replace(bench, tell=partial(_tell_at, bench.tell, place)), number)


def _tell_at(tell: Callable[[str], None], place: str, line: str) -> None:
    tell(f"{place}: {line}")
