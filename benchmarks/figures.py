"""What one measurement yields, and the clocks it is taken with. The C reference prints the same figures."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, float]
"""Name -> value. Times in seconds, CPU is user and system time of the process that sends and receives."""

ANCHOR = "C"
LATENCY = "latency"


@dataclass(frozen=True)
class Measurement:
    """One run of one client."""

    round: int
    client: str
    """``C``, or the event loop."""
    workload: str
    size: int
    """Bytes in a message."""
    figures: Figures

    def as_json(self) -> dict[str, Any]:
        """Return it as a flat object."""
        fields = asdict(self)
        return {**fields.pop("figures"), **fields}


@dataclass(frozen=True)
class Clock:
    """A moment, in both kinds of time."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Clock:
        """Read both clocks."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return cls(time.perf_counter(), usage.ru_utime + usage.ru_stime)


def throughput_figures(start: Clock, end: Clock, *, messages: int, warmup_messages: int, size: int) -> Figures:
    """Return the figures of a flood of ``messages`` messages of ``size`` bytes."""
    rate = messages / (end.wall - start.wall)
    return {
        "messages": messages,
        "warmup_messages": warmup_messages,
        "messages_per_second": rate,
        "bytes_per_second": rate * size,
        "cpu_per_message": (end.cpu - start.cpu) / messages,
    }


def latency_figures(start: Clock, end: Clock, *, samples: Sequence[float], warmup_messages: int) -> Figures:
    """Return the figures of a closed loop from the times between a send and its own copy."""
    ordered = sorted(samples)
    return {
        "messages": len(samples),
        "warmup_messages": warmup_messages,
        "p50": percentile(ordered, 0.5),
        "p99": percentile(ordered, 0.99),
        "p999": percentile(ordered, 0.999),
        "cpu_per_message": (end.cpu - start.cpu) / len(samples),
    }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least this share of all does not exceed, as the C reference does."""
    return ordered[max(1, math.ceil(share * len(ordered))) - 1]
