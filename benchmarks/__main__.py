"""The command: ``python -m benchmarks [--quick] [--rounds N] [--sizes ...] [--loops ...] [--json FILE]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from aiocpg.testing import ClusterError

from .report import as_json, as_table
from .runner import BenchmarkError, Settings, run
from .workloads import LOOPS, WORKLOADS

FULL = Settings(
    rounds=5,
    sizes=(64, 1600, 8192, 40_960, 1_000_000),
    loops=tuple(LOOPS),
    workloads=WORKLOADS,
    seconds=1.0,
    warmup=0.2,
)
QUICK = replace(FULL, rounds=2, sizes=(64, 40_960), seconds=0.2, warmup=0.05)
"""Ends within a minute; its numbers are rough."""


def read_settings(arguments: list[str]) -> tuple[Settings, Path | None]:
    """Return what to measure, and where to write it for programs."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog="All engines side by side, with Redis: python -m benchmarks.engines, or scripts/bench --engines.",
    )
    parser.add_argument("--quick", action="store_true", help="a rough look that ends within a minute")
    parser.add_argument("--rounds", type=int, help="how often to measure everything")
    parser.add_argument("--sizes", type=int, nargs="+", help="bytes in a message")
    parser.add_argument("--loops", nargs="+", choices=LOOPS, help="event loops")
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, help="ways of sending and reading")
    parser.add_argument("--seconds", type=float, help="of each measurement")
    real_time = argparse.BooleanOptionalAction
    parser.add_argument("--sched-rr", action=real_time, default=None, help="real-time priority for the daemon")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, for programs")
    given: dict[str, Any] = vars(parser.parse_args(arguments))
    base, file = QUICK if given.pop("quick") else FULL, given.pop("json")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    chosen = {name: value for name, value in given.items() if value is not None}
    return replace(base, **chosen), file


def describe_machine() -> dict[str, Any]:
    """Return what the numbers depend on."""
    corosync = subprocess.run(["corosync", "-v"], capture_output=True, text=True, check=False).stdout
    return {
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "corosync": corosync.splitlines()[0] if corosync else "unknown",
        **{name: version(name) for name in ("anyio", "uvloop", "trio")},
    }


def main(arguments: list[str]) -> int:
    """Measure, print the table, write the file."""
    settings, file = read_settings(arguments)
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()))
    try:
        measurements = run(settings, lambda line: print(line, file=sys.stderr, flush=True))
    except (BenchmarkError, ClusterError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{as_table(measurements)}")
    if file is not None:
        file.write_text(json.dumps(as_json(machine, asdict(settings), measurements), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
