"""Makes medians, spreads and ratios of measurements, a table for people and an object for programs. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .figures import ANCHOR, LATENCY, Measurement


@dataclass(frozen=True)
class Spread:
    """A figure over the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarise at least one value."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


@dataclass(frozen=True)
class Row:
    """One client with one workload and size, over all rounds."""

    client: str
    workload: str
    size: int
    figures: dict[str, Spread]
    of_c: Spread
    """Rate, or median latency, divided by that of the C reference in the same round."""


def summarise(measurements: Sequence[Measurement]) -> list[Row]:
    """Return a row for each client, workload and size, in the order they were measured."""
    groups: dict[tuple[str, str, int], list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.client, one.workload, one.size), []).append(one)
    anchors = {(m.round, m.size, m.workload == LATENCY): _main_figure(m) for m in measurements if m.client == ANCHOR}
    return [_row(group, anchors) for group in groups.values()]


def _row(group: Sequence[Measurement], anchors: dict[tuple[int, int, bool], float]) -> Row:
    first = group[0]
    figures = {name: Spread.of(m.figures[name] for m in group) for name in first.figures}
    of_c = Spread.of(_main_figure(m) / anchors[m.round, m.size, m.workload == LATENCY] for m in group)
    return Row(first.client, first.workload, first.size, figures, of_c)


def _main_figure(measurement: Measurement) -> float:
    return measurement.figures["p50" if measurement.workload == LATENCY else "messages_per_second"]


def as_json(machine: dict[str, Any], settings: dict[str, Any], measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Return everything: where and what was measured, every measurement, and the rows."""
    return {
        "machine": machine,
        "settings": settings,
        "measurements": [measurement.as_json() for measurement in measurements],
        "summary": [asdict(row) for row in summarise(measurements)],
    }


def as_table(measurements: Sequence[Measurement]) -> str:
    """Return tables for people: throughput first, then latency."""
    rows = summarise(measurements)
    rates = [_rate_line(row) for row in _by_size(rows) if row.workload != LATENCY]
    latencies = [_latency_line(row) for row in _by_size(rows) if row.workload == LATENCY]
    rate_titles = ["bytes", "client", "workload", "messages/s", "low", "high", "MB/s", "CPU us/message", "of C"]
    latency_titles = ["bytes", "client", "p50 us", "low", "high", "p99 us", "p99.9 us", "CPU us/message", "times C"]
    text = "Throughput: messages sent and received back by one process; medians over the rounds\n\n"
    text += _aligned([rate_titles, *rates])
    text += "\n\nLatency: one message at a time, from the send to its own copy; medians over the rounds\n\n"
    return text + _aligned([latency_titles, *latencies])


def _by_size(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.size)


def _rate_line(row: Row) -> list[str]:
    rate = row.figures["messages_per_second"]
    rates = [f"{value:,.0f}" for value in (rate.median, rate.low, rate.high)]
    megabytes = f"{row.figures['bytes_per_second'].median / 1e6:,.1f}"
    return [f"{row.size:,}", row.client, row.workload, *rates, megabytes, _cpu(row), f"{row.of_c.median:.2f}"]


def _latency_line(row: Row) -> list[str]:
    median = row.figures["p50"]
    values = (median.median, median.low, median.high, row.figures["p99"].median, row.figures["p999"].median)
    return [f"{row.size:,}", row.client, *(f"{v * 1e6:,.1f}" for v in values), _cpu(row), f"{row.of_c.median:.2f}"]


def _cpu(row: Row) -> str:
    return f"{row.figures['cpu_per_message'].median * 1e6:,.2f}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Set columns flush right; words and numbers alike read well so."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
