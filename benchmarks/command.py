"""What the commands of the benchmarks have in common: options, and what happens with the measurements."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiocpg.testing import ClusterError

from .figures import Measurement
from .machine import describe_machine
from .report import as_json, summarise
from .stage import BenchmarkError
from .tables import as_text


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add those of everything that runs on nodes of its own."""
    switch = argparse.BooleanOptionalAction
    parser.add_argument("--sched-rr", action=switch, default=True, help="real-time priority for the daemon")
    pin = "a CPU for the daemon and another for the client; without either: wherever the client is one process"
    parser.add_argument("--pin", action=switch, default=None, help=pin)
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option of the file."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, for programs")


def tell(line: str) -> None:
    """Say what begins, apart from what is found."""
    print(line, file=sys.stderr, flush=True)


def measure_and_report(settings: dict[str, Any], run: Callable[[], list[Measurement]], file: Path | None) -> int:
    """Measure, print the tables, write the file; return the status of the command."""
    machine = describe_machine()
    print(", ".join(f"{name} {value}" for name, value in machine.items()), flush=True)
    try:
        measurements = run()
    except (BenchmarkError, ClusterError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\n{as_text(summarise(measurements))}")
    if file is not None:
        file.write_text(json.dumps(as_json(machine, settings, measurements), indent=1) + "\n")
    return 0
