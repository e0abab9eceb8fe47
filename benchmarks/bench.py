"""What is to be measured, and what a row needs to measure it: programs, a stage, and somebody to tell."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiocpg.testing import CorosyncCluster

from .pinning import choose, cpus
from .stage import BenchmarkError, Stage

SOURCE = Path(__file__).with_name("reference.c")
SHM_SIZE = "2G"
"""Of the node: each group of a process takes 3 MiB there."""
BURSTS = 4
"""Throughput runs that the C reference makes in one go."""


@dataclass(frozen=True)
class Settings:
    """What to measure."""

    rows: tuple[str, ...]
    rounds: int
    sizes: tuple[int, ...]
    loops: tuple[str, ...]
    workloads: tuple[str, ...]
    seconds: float
    """For each measurement."""
    warmup: float
    """Seconds before each."""
    first_messages: int = 10_000
    """How many messages a process has handled when its memory is taken first."""
    more_messages: int = 1_000_000
    """How many it handles until its memory is taken again."""
    sched_rr: bool = True
    """Whether the daemon has real-time priority, as in production."""
    pin: bool | None = None
    """Whether daemon and client have a CPU each; None: where one process is the client, and not where several are."""


@dataclass(frozen=True)
class Bench:
    """Measures on one stage."""

    settings: Settings
    stage: Stage
    reference: Path
    """The C program."""
    tell: Callable[[str], None]
    """Gets a line when something begins."""

    def pin(self, *, single: bool) -> None:
        """Pin what is measured next as it was asked for; `single` says whether the client is one process."""
        self.stage.pin(single if self.settings.pin is None else self.settings.pin)

    def ours(self, module: str, *words: object) -> Any:
        """Return what a module of this package prints, given these words and the times."""
        return self.stage.ask(self.argv(module, *words), 8 * (self.settings.seconds + self.settings.warmup))

    def argv(self, module: str, *words: object) -> list[str]:
        """Return the command for such a module."""
        times = (self.settings.seconds, self.settings.warmup)
        return [sys.executable, "-m", f"benchmarks.{module}", *map(str, words), *map(str, times)]

    def c(self, size: int) -> Any:
        """Return what the C reference prints: throughput for each burst, and latency."""
        words = [str(size), str(self.settings.seconds), str(self.settings.warmup)]
        return self.stage.ask(
            [str(self.reference), *words], (BURSTS + 1) * (self.settings.seconds + self.settings.warmup)
        )


@contextmanager
def opened(settings: Settings, tell: Callable[[str], None]) -> Iterator[Bench]:
    """Provide a bench with a node of its own."""
    with (
        tempfile.TemporaryDirectory() as directory,
        CorosyncCluster(nodes=1, shm_size=SHM_SIZE, sched_rr=settings.sched_rr, transport="knet") as cluster,
    ):
        reference = compile_reference(Path(directory))
        yield Bench(settings, Stage(cluster.nodes, choose(cpus())), reference, tell)


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
