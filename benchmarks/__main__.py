"""The command: ``python -m benchmarks [--quick] [--rows ...] [--rounds N] [--sizes ...] [--json FILE]``."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import command
from .bench import Settings
from .runner import ROWS, run
from .workloads import LOOPS, WORKLOADS

FULL = Settings(
    rows=tuple(ROWS),
    rounds=5,
    sizes=(64, 320, 1600, 8192, 40_960, 200_000, 1_000_000),
    loops=tuple(LOOPS),
    workloads=WORKLOADS,
    seconds=1.0,
    warmup=0.2,
)
QUICK = replace(FULL, rounds=1, sizes=(64, 40_960), seconds=0.1, warmup=0.03, more_messages=30_000)
"""Ends within a minute; its numbers are rough."""


def read_settings(arguments: list[str]) -> tuple[Settings, Path | None]:
    """Return what to measure, and where to write it for programs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="EVS alone: python -m benchmarks.evs. Engines alone: python -m benchmarks.engines.",
    )
    parser.add_argument("--quick", action="store_true", help="a rough look that ends within a minute")
    parser.add_argument("--rows", nargs="+", choices=ROWS, help="what to measure, all unless given")
    parser.add_argument("--rounds", type=int, help="how often to measure everything")
    parser.add_argument("--sizes", type=int, nargs="+", help="bytes in a message, for the row of that name")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, help="event loops; rows with one loop take the first")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, help="ways of sending and reading")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    command.add_options(parser)
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    base, file = QUICK if given.pop("quick") else FULL, given.pop("json")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(base, **chosen), file


def main(arguments: list[str]) -> int:
    """Measure, print the tables, write the file."""
    settings, file = read_settings(arguments)
    return command.measure_and_report(asdict(settings), lambda: run(settings, command.tell), file)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
