"""What one measurement yields, and the clocks it is taken with. The C reference prints the same figures."""

from __future__ import annotations

import math
import resource
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, float]
"""Name -> value. Times in seconds, CPU is user and system time of the process that sends and receives."""

ANCHOR = "C"
FLOOD = "flood"
"""What the C reference does to measure throughput; aiocpg has several ways, see ``workloads``."""
LATENCY = "latency"


@dataclass(frozen=True)
class Measurement:
    """One run of one client."""

    round: int
    section: str
    """The table it belongs to."""
    client: str
    """``C``, the event loop, or an engine."""
    workload: str
    size: int
    """Bytes in a message."""
    pinned: bool
    """Whether the daemon and the client had a CPU each."""
    figures: Figures
    beside: str = ""
    """The :attr:`name` of what it is compared with, in the same round, section, size and pinning."""

    @property
    def name(self) -> str:
        """Who does what."""
        return f"{self.client} {self.workload}"

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


def resident() -> int:
    """Return the bytes of memory that this process has resident."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


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
