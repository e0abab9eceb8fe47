"""
A packed domain beside the C reference: ``python -m benchmarks.evs [--rounds N] [--seconds S] [--size BYTES] ...``.

On one daemon, in each round: the C client that sends one message with each call, a domain of one member, and one of
three members (three processes; one sends, the others read and acknowledge). Messages of a domain that are sent in one
turn of the loop travel together. Printed are medians over the rounds and ratios within a round: throughput to the best
of the C client's bursts, SAFE to AGREED with as many members.

One member is measured pinned, three are not, unless ``--pin`` or ``--no-pin`` is given: three processes on the one CPU
that the daemon leaves them would measure how they take turns. The C client is measured in either way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import NamedTuple

from . import command
from .bench import Bench, Settings, opened
from .figures import ANCHOR, FLOOD, Measurement
from .rows import SMALL, best_run


class Row(NamedTuple):
    """One thing that is measured in each round, and what it is compared with."""

    loop: str
    workload: str
    members: int
    beside: str

    @property
    def title(self) -> str:
        """How it is named in the table."""
        return f"{self.workload}, {self.members} member{'s' * (self.members > 1)}"

    @property
    def name(self) -> str:
        """How it is named by ``--rows`` and by others that are compared with it."""
        return f"{self.loop} {self.title}"


C = f"{ANCHOR} {FLOOD}"
ROWS = (
    *(Row(loop, "agreed", 1, C) for loop in ("asyncio", "uvloop", "trio")),
    Row("asyncio", "agreed", 3, C),
    Row("asyncio", "safe", 3, "asyncio agreed, 3 members"),
    Row("asyncio", "unordered", 3, "asyncio agreed, 3 members"),
    Row("asyncio", "lone agreed", 3, ""),
    Row("asyncio", "lone safe", 3, "asyncio lone agreed, 3 members"),
)


def measure(bench: Bench, number: int, rows: Sequence[Row] = ROWS, size: int = SMALL) -> Iterator[Measurement]:
    """Yield these rows, and the reference once in each mode that occurs in them."""
    modes: set[bool] = set()
    for row in sorted(rows, key=lambda row: row.members):
        bench.pin(single=row.members == 1)
        pinned = bench.stage.is_pinned
        if pinned not in modes:
            modes.add(pinned)
            yield Measurement(number, "evs throughput", ANCHOR, FLOOD, size, pinned, best_run(bench.c(size)))
        section = "evs latency" if row.workload.startswith("lone") else "evs throughput"
        figures = _figures(bench, row, size)
        yield Measurement(number, section, row.loop, row.title, size, pinned, figures, row.beside)


def _figures(bench: Bench, row: Row, size: int) -> dict[str, float]:
    idle = bench.argv("evs_member", row.loop, "idle", size, row.members)
    with bench.stage.running(idle, row.members - 1) if row.members > 1 else nullcontext():
        figures: dict[str, float] = bench.ours("evs_member", row.loop, row.workload, size, row.members)
    return figures


def main(arguments: list[str]) -> int:
    """Measure, print the table, write the file."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure everything [%(default)s]")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement [%(default)s]")
    parser.add_argument("--size", type=int, default=SMALL, help="bytes of a message [%(default)s]")
    parser.add_argument("--rows", nargs="+", choices=names, default=names, help="what to measure [all]")
    command.add_options(parser)
    given = parser.parse_args(arguments)
    rows = [row for row in ROWS if row.name in given.rows]
    settings = Settings(
        rows=tuple(row.name for row in rows),
        rounds=given.rounds,
        sizes=(given.size,),
        loops=(),
        workloads=(),
        seconds=given.seconds,
        warmup=given.seconds / 5,
        sched_rr=given.sched_rr,
        pin=given.pin,
    )
    return command.measure_and_report(asdict(settings), lambda: _run(settings, rows), given.json)


def _run(settings: Settings, rows: Sequence[Row]) -> list[Measurement]:
    found: list[Measurement] = []
    with opened(settings, command.tell) as bench:
        for number in range(1, settings.rounds + 1):
            command.tell(f"round {number} of {settings.rounds}")
            found.extend(measure(bench, number, rows, settings.sizes[0]))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
