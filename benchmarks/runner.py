"""Runs the measurements one after another on a daemon of their own, the C reference in every round beside aiocpg."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiocpg.testing import ClusterNode, CorosyncCluster

from .figures import ANCHOR, LATENCY, Figures, Measurement

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE = Path(__file__).with_name("reference.c")
FLOOD = "flood"
"""What the C reference does to measure throughput; aiocpg has several ways, see ``workloads``."""
GRACE = 30
"""Seconds that a measurement may take beyond its own time before it counts as hung."""


class BenchmarkError(Exception):
    """A measurement could not be made; the text says what its process said."""


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    rounds: int
    sizes: tuple[int, ...]
    loops: tuple[str, ...]
    workloads: tuple[str, ...]
    seconds: float
    """For each measurement."""
    warmup: float
    """Seconds before each."""
    sched_rr: bool = True
    """Whether the daemon has real-time priority, as in production."""


def run(settings: Settings, tell: Callable[[str], None]) -> list[Measurement]:
    """
    Make all measurements.

    Args:
        settings: What to measure.
        tell: Gets a line when something begins.

    Raises:
        BenchmarkError: One of them failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        reference = compile_reference(Path(directory))
        with CorosyncCluster(nodes=1, sched_rr=settings.sched_rr, transport="knet") as cluster:
            return [
                measurement
                for number in range(1, settings.rounds + 1)
                for measurement in _round(number, settings, cluster.node(1), reference, tell)
            ]


def compile_reference(directory: Path) -> Path:
    """
    Compile the C reference and return the program.

    Raises:
        BenchmarkError: It does not compile; the text is what the compiler said.
    """
    program = directory / "reference"
    command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", str(SOURCE), "-o", str(program), "-lcpg"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BenchmarkError(f"reference.c does not compile (it needs cc and libcpg-dev):\n{done.stderr}")
    return program


def _round(
    number: int, settings: Settings, node: ClusterNode, reference: Path, tell: Callable[[str], None]
) -> Iterator[Measurement]:
    for size in settings.sizes:
        tell(f"round {number} of {settings.rounds}, {size} bytes")
        yield from _measure_reference(number, settings, node, reference, size)
        for loop in settings.loops:
            for workload in settings.workloads:
                words = [loop, workload, str(size), str(settings.seconds), str(settings.warmup)]
                argv = [sys.executable, "-m", "benchmarks.workloads", *words]
                yield Measurement(number, loop, workload, size, _ask(node, argv, settings))


def _measure_reference(
    number: int, settings: Settings, node: ClusterNode, reference: Path, size: int
) -> Iterator[Measurement]:
    """Yield the best of the reference's bursts, which is the anchor, and its latency."""
    said = _ask(node, [str(reference), str(size), str(settings.seconds), str(settings.warmup)], settings)
    best: Figures = max(said["runs"], key=lambda figures: figures["messages_per_second"])
    yield Measurement(number, ANCHOR, FLOOD, size, best)
    yield Measurement(number, ANCHOR, LATENCY, size, said["latency"])


def _ask(node: ClusterNode, argv: list[str], settings: Settings) -> Any:
    """Run a program on the node and return the object it prints."""
    process = node.spawn(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, complaint = process.communicate(timeout=8 * (settings.seconds + settings.warmup) + GRACE)
    except subprocess.TimeoutExpired as error:
        process.kill()
        raise BenchmarkError(f"{' '.join(argv)}: hangs; it said:\n{process.communicate()[1]}") from error
    if process.returncode != 0:
        raise BenchmarkError(f"{' '.join(argv)}: status {process.returncode}\n{complaint}")
    return json.loads(output)
