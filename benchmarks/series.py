"""What the plots show: lines of points out of the rows of a run. Pure, and needs nothing that draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from .figures import ANCHOR
from .report import Row, Spread

MICRO = 1e6


@dataclass(frozen=True)
class Point:
    """One row."""

    size: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """One client and workload over all sizes."""

    label: str
    points: tuple[Point, ...]


Value: TypeAlias = Callable[[Row], Spread | None]


@dataclass(frozen=True)
class Plot:
    """One picture."""

    file: str
    title: str
    y_title: str
    y_scale: str
    """"linear" or "log", as matplotlib has it."""
    lines: tuple[Line, ...]


def plots(rows: Sequence[Row]) -> list[Plot]:
    """Return the pictures that these rows have data for."""
    throughput = [row for row in rows if row.section == "throughput"]
    ours = [row for row in throughput if row.client != ANCHOR]
    latency = [row for row in rows if row.section == "latency"]
    cpu, times = _micros("cpu_per_message"), _micros("p50")
    all_plots = [
        Plot("throughput.svg", "Throughput by size", "rate divided by that of C", "linear", _lines(ours, _ratio)),
        Plot("cpu.svg", "CPU by size", "CPU microseconds per message", "log", _lines(throughput, cpu)),
        Plot("latency.svg", "Latency by loop", "median microseconds", "log", _lines(latency, times)),
    ]
    return [plot for plot in all_plots if plot.lines]


def _ratio(row: Row) -> Spread | None:
    return row.ratio


def _micros(name: str) -> Value:
    def value(row: Row) -> Spread:
        spread = row.figures[name]
        return Spread(spread.median * MICRO, spread.low * MICRO, spread.high * MICRO)

    return value


def _lines(rows: Sequence[Row], value: Value) -> tuple[Line, ...]:
    points: dict[str, list[Point]] = {}
    for row in sorted(rows, key=lambda row: row.size):
        spread = value(row)
        if spread is not None:
            label = f"{row.client} {row.workload}"
            points.setdefault(label, []).append(Point(row.size, spread.median, spread.low, spread.high))
    return tuple(Line(label, tuple(each)) for label, each in sorted(points.items()))
