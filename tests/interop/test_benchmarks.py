"""The benchmarks run to their end and report everything they measured. How fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SIZES = (64, 40_960)
LOOPS = ("asyncio", "uvloop", "trio")
WORKLOADS = ("batches", "tasks", "sequence", "latency")


def run_benchmarks(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as ``scripts/bench`` does."""
    argv = [sys.executable, "-m", "benchmarks", *options]
    return subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=170, check=False)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provide what one very short run wrote for programs."""
    file = tmp_path_factory.mktemp("benchmarks") / "result.json"
    short = ["--rounds", "1", "--seconds", "0.05", "--no-sched-rr", "--json", str(file)]
    done = run_benchmarks(*short, "--sizes", *map(str, SIZES))
    assert done.returncode == 0, done.stderr
    assert "Throughput" in done.stdout
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_every_workload_is_reported_when_all_are_asked_for(result: dict[str, Any]) -> None:
    """Each loop with each workload and size stands in the summary beside C."""
    rows = {(row["client"], row["workload"], row["size"]) for row in result["summary"]}
    ours = {(loop, workload, size) for loop in LOOPS for workload in WORKLOADS for size in SIZES}
    assert rows == ours | {("C", workload, size) for workload in ("flood", "latency") for size in SIZES}


def test_every_measurement_counts_messages_when_it_ends(result: dict[str, Any]) -> None:
    """Nothing is reported that did not send and receive."""
    assert all(one["messages"] > 0 and one["cpu_per_message"] >= 0 for one in result["measurements"])
    latencies = [one for one in result["measurements"] if one["workload"] == "latency"]
    assert all(0 < one["p50"] <= one["p99"] <= one["p999"] for one in latencies)


def test_ratios_are_those_of_the_same_round(result: dict[str, Any]) -> None:
    """With one round, a row's ratio is its rate divided by that of C at its size."""
    rates = {
        (row["client"], row["workload"], row["size"]): row["figures"]["messages_per_second"]["median"]
        for row in result["summary"]
        if row["workload"] != "latency"
    }
    ratios = {(row["client"], row["workload"], row["size"]): row["of_c"]["median"] for row in result["summary"]}
    for key, rate in rates.items():
        assert ratios[key] == pytest.approx(rate / rates["C", "flood", key[2]])


def test_the_command_names_the_choices_when_a_loop_is_unknown() -> None:
    """A wrong word ends with what would be right, not with a traceback."""
    done = run_benchmarks("--loops", "gevent")
    assert done.returncode == 2
    assert "asyncio" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("local_directory")
def test_engines_are_measured_side_by_side() -> None:
    """All three; Redis too, where it is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.engines", "--rounds", "1", "--seconds", "0.05"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()[1:]}
    assert {"corosync://", "local://", "memory://"} <= set(rows)
    assert all(int(rate) > 0 for rate in rows.values())
