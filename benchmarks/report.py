"""Makes medians, spreads and ratios of measurements, and an object for programs. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

from .figures import Measurement


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

    section: str
    client: str
    workload: str
    size: int
    pinned: bool
    beside: str
    """The client and workload it is compared with; "" where there is none."""
    figures: dict[str, Spread]
    ratio: Spread | None
    """Rate, or median latency, divided by that of what stands beside it in the same round."""

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Row:
        """Read what :func:`as_json` wrote."""
        figures = {name: Spread(**spread) for name, spread in fields["figures"].items()}
        ratio = None if fields["ratio"] is None else Spread(**fields["ratio"])
        return cls(**{**fields, "figures": figures, "ratio": ratio})


Key: TypeAlias = tuple[str, str, str, int, bool]
Anchors: TypeAlias = dict[tuple[int, str, str, int, bool], Measurement]


def summarise(measurements: Sequence[Measurement]) -> list[Row]:
    """Return a row for each client, workload and size of a section, in the order they were measured."""
    groups: dict[Key, list[Measurement]] = {}
    for one in measurements:
        groups.setdefault((one.section, one.client, one.workload, one.size, one.pinned), []).append(one)
    anchors = {(one.round, one.section, one.name, one.size, one.pinned): one for one in measurements}
    return [_row(group, anchors) for group in groups.values()]


def _row(group: Sequence[Measurement], anchors: Anchors) -> Row:
    first = group[0]
    figures = {name: Spread.of(one.figures[name] for one in group) for name in first.figures}
    ratios = [one for each in group if (one := _ratio(each, anchors)) is not None]
    of_all = Spread.of(ratios) if ratios else None
    return Row(first.section, first.client, first.workload, first.size, first.pinned, first.beside, figures, of_all)


def _ratio(one: Measurement, anchors: Anchors) -> float | None:
    """Return None where there is nothing beside it, as when only a part was asked for."""
    anchor = anchors.get((one.round, one.section, one.beside, one.size, one.pinned))
    return None if anchor is None else _main_figure(one) / _main_figure(anchor)


def _main_figure(measurement: Measurement) -> float:
    return measurement.figures["p50" if "p50" in measurement.figures else "messages_per_second"]


def as_json(machine: dict[str, Any], settings: dict[str, Any], measurements: Sequence[Measurement]) -> dict[str, Any]:
    """Return everything: where and what was measured, every measurement, and the rows."""
    return {
        "machine": machine,
        "settings": settings,
        "measurements": [measurement.as_json() for measurement in measurements],
        "summary": [asdict(row) for row in summarise(measurements)],
    }


def rows_of(result: dict[str, Any]) -> list[Row]:
    """Return the rows of what :func:`as_json` returned."""
    return [Row.from_json(fields) for fields in result["summary"]]
