"""Daemon and client of a benchmark have a CPU each, where there are two."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.pinning import Cpu, Places, choose, cpus, pinned
from benchmarks.stage import Stage

from aiocpg.testing import ClusterNode

ROOT = Path(__file__).resolve().parents[2]
SHOW = [sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))"]


def affinities(pid: int) -> set[frozenset[int]]:
    """Where the threads of a process may run."""
    return {frozenset(os.sched_getaffinity(int(task))) for task in os.listdir(f"/proc/{pid}/task")}


@pytest.mark.parametrize(
    ("usable", "places"),
    [
        ([], None),
        ([Cpu(3, 0, 0)], None),
        ([Cpu(0, 0, 0), Cpu(1, 1, 0)], Places((0,), 1)),
        ([Cpu(0, 0, 0), Cpu(1, 0, 0), Cpu(2, 1, 0), Cpu(3, 1, 0)], Places((0, 1, 3), 2)),
        ([Cpu(0, 0, 0), Cpu(1, 0, 0), Cpu(2, 5, 1)], Places((0, 2), 1)),
    ],
)
def test_client_gets_a_core_of_its_own_near_the_daemon(usable: list[Cpu], places: Places | None) -> None:
    """One CPU is for all; of several the client has one in the same package, and on another core if it can."""
    assert choose(usable) == places


def test_program_runs_on_the_cpu_alone_when_it_is_pinned() -> None:
    """It is the same process, so its figures are its own."""
    cpu = max(os.sched_getaffinity(0))
    done = subprocess.run(pinned(SHOW, cpu), cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"[{cpu}]\n"


def test_all_threads_of_the_daemon_move_when_a_stage_is_pinned(node: ClusterNode) -> None:
    """And may run everywhere again afterwards; a program that is asked follows."""
    assert node.pid is not None
    everywhere, places = frozenset(os.sched_getaffinity(0)), choose(cpus())
    stage = Stage([node], places)
    try:
        stage.pin(True)
        assert affinities(node.pid) == {frozenset(places.daemons[:1]) if places else everywhere}
        assert stage.ask(SHOW, 10) == ([places.client] if places else sorted(everywhere))
    finally:
        stage.pin(False)
    assert affinities(node.pid) == {everywhere}
    assert stage.ask(SHOW, 10) == sorted(everywhere)
