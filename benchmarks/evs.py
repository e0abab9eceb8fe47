"""
A packed domain beside the C reference: ``python -m benchmarks.evs [--rounds N] [--seconds S] [--size BYTES] ...``.

On one daemon, in each round: the C client that sends one message with each call, a domain of one member, and one of
three members (three processes; one sends, the others read and acknowledge). Messages of a domain that are sent in one
turn of the loop travel together. Printed are medians over the rounds and ratios within a round: throughput to the best
of the C client's bursts, SAFE to AGREED with as many members.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiocpg.testing import ClusterNode, CorosyncCluster

from .runner import CHECKOUT, compile_reference

GRACE_SECONDS = 60


class Row(NamedTuple):
    """One thing that is measured in each round, and what it is compared with."""

    name: str
    loop: str
    workload: str
    members: int
    beside: str


ROWS = (
    *(Row(f"agreed, {loop}", loop, "agreed", 1, "C") for loop in ("asyncio", "uvloop", "trio")),
    Row("agreed, 3 members", "asyncio", "agreed", 3, "C"),
    Row("safe, 3 members", "asyncio", "safe", 3, "agreed, 3 members"),
    Row("unordered, 3 members", "asyncio", "unordered", 3, "agreed, 3 members"),
    Row("lone agreed, 3 members", "asyncio", "lone agreed", 3, ""),
    Row("lone safe, 3 members", "asyncio", "lone safe", 3, "lone agreed, 3 members"),
)


class Bench:
    """
    Measures on one daemon.

    Args:
        node: Where it runs.
        reference: The C program.
        size: Bytes of a message.
        seconds: Of each measurement.
    """

    def __init__(self, node: ClusterNode, reference: Path, size: int, seconds: float) -> None:
        self._node = node
        self._reference = reference
        self._size = size
        self._seconds = seconds

    def round(self, rows: list[Row]) -> dict[str, float]:
        """Measure everything once: messages a second, or seconds for one alone."""
        found = {"C": self._ask_reference()}
        for row in rows:
            with self._others(row):
                argv = self._argv(row.loop, row.workload, row.members)
                found[row.name] = _main_figure(self._ask(argv))
        return found

    def _ask_reference(self) -> float:
        said = self._ask([str(self._reference), str(self._size), str(self._seconds), str(self._seconds / 5)])
        return max(run["messages_per_second"] for run in said["runs"])

    def _argv(self, loop: str, workload: str, members: int) -> list[str]:
        words = [loop, workload, str(self._size), str(self._seconds), str(self._seconds / 5), str(members)]
        return [sys.executable, "-m", "benchmarks.evs_member", *words]

    @contextmanager
    def _others(self, row: Row) -> Iterator[None]:
        with ExitStack() as stack:
            for _ in range(row.members - 1):
                idle = self._argv(row.loop, "idle", row.members)
                other = self._node.spawn(idle, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
                stack.callback(other.wait, GRACE_SECONDS)
                stack.callback(other.stdin.close)
            yield

    def _ask(self, argv: list[str]) -> Any:
        process = self._node.spawn(argv, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, complaint = process.communicate(timeout=12 * self._seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        if process.returncode:
            raise RuntimeError(f"{' '.join(argv)}: status {process.returncode}\n{complaint}")
        return json.loads(output)


def _main_figure(figures: dict[str, float]) -> float:
    return figures["p50"] if "p50" in figures else figures["messages_per_second"]


def as_table(rounds: list[dict[str, float]], rows: list[Row]) -> str:
    """Medians, and medians of the ratios within a round."""
    lines = [f"{'':24}{'median':>14}{'low':>14}{'high':>14}   ratio"]
    for name, beside in [("C", ""), *((row.name, row.beside) for row in rows)]:
        values = [one[name] for one in rounds]
        alone = "lone" in name
        texts = [f"{value * 1e6:,.0f} us" if alone else f"{value:,.0f}/s" for value in _spread(values)]
        ratio = ""
        if beside:
            ratio = f"{statistics.median(one[name] / one[beside] for one in rounds):.2f} of {beside}"
        lines.append(f"{name:24}{texts[0]:>14}{texts[1]:>14}{texts[2]:>14}   {ratio}".rstrip())
    return "\n".join(lines)


def _spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evs", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure everything [%(default)s]")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement [%(default)s]")
    parser.add_argument("--size", type=int, default=64, help="bytes of a message [%(default)s]")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], help="what to measure [all]")
    real_time = argparse.BooleanOptionalAction
    parser.add_argument("--sched-rr", action=real_time, default=True, help="real-time priority for the daemon")
    given = parser.parse_args(arguments)
    rows = [row for row in ROWS if not given.rows or row.name in given.rows]
    with tempfile.TemporaryDirectory() as directory:
        reference = compile_reference(Path(directory))
        with CorosyncCluster(nodes=1, sched_rr=given.sched_rr, transport="knet") as cluster:
            bench = Bench(cluster.node(1), reference, given.size, given.seconds)
            rounds = []
            for number in range(given.rounds):
                print(f"round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
                rounds.append(bench.round(rows))
    print(as_table(rounds, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
