"""The benchmarks run to their end and report everything they measured. How fast anything is, no test says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks.pinning import choose, cpus

CHECKOUT = Path(__file__).resolve().parents[2]
SIZES = (64, 40_960)
LOOPS = ("asyncio", "uvloop", "trio")
WORKLOADS = ("batches", "tasks", "sequence", "latency")
OTHER_SECTIONS = ("groups", "iterators", "nodes throughput", "nodes latency", "memory")


def run(module: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the benchmarks."""
    argv = [sys.executable, "-m", module, *options]
    return subprocess.run(argv, cwd=CHECKOUT, capture_output=True, text=True, timeout=170, check=False)


def run_benchmarks(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command as ``scripts/bench`` does."""
    return run("benchmarks", *options)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Provide what one very short run wrote for programs."""
    file = tmp_path_factory.mktemp("benchmarks") / "result.json"
    short = ["--rows", "sizes", "--rounds", "1", "--seconds", "0.05", "--no-sched-rr", "--json", str(file)]
    done = run_benchmarks(*short, "--sizes", *map(str, SIZES))
    assert done.returncode == 0, done.stderr
    assert "Throughput" in done.stdout
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_every_workload_is_reported_when_all_are_asked_for(result: dict[str, Any]) -> None:
    """Each loop with each workload and size stands in the summary beside C."""
    rows = {(row["client"], row["workload"], row["size"]) for row in result["summary"]}
    ours = {(loop, workload, size) for loop in LOOPS for workload in WORKLOADS for size in SIZES}
    anchors = {
        ("C", "flood"),
        ("C", "latency"),
        ("bare", "flood"),
        ("bare", "one by one"),
        ("bare asyncio", "latency"),
        ("bare uvloop", "latency"),
    }
    assert rows == ours | {(*anchor, size) for anchor in anchors for size in SIZES}


def test_every_measurement_counts_messages_when_it_ends(result: dict[str, Any]) -> None:
    """Nothing is reported that did not send and receive."""
    assert all(one["messages"] > 0 and one["cpu_per_message"] >= 0 for one in result["measurements"])
    latencies = [one for one in result["measurements"] if one["workload"] == "latency"]
    assert all(0 < one["p50"] <= one["p99"] <= one["p999"] for one in latencies)


def test_every_measurement_says_that_it_was_pinned(result: dict[str, Any]) -> None:
    """One client beside one daemon has a CPU of its own, wherever there are two."""
    assert {one["pinned"] for one in result["measurements"]} == {choose(cpus()) is not None}


def test_the_other_rows_are_reported_when_they_are_asked_for(tmp_path: Path) -> None:
    """Each fills its own table, and what stands beside something has a ratio to it."""
    file = tmp_path / "result.json"
    short = ["--quick", "--seconds", "0.02", "--loops", "asyncio", "--no-sched-rr", "--no-pin", "--json", str(file)]
    done = run_benchmarks("--rows", "groups", "iterators", "nodes", "memory", *short)
    assert done.returncode == 0, done.stderr
    summary = json.loads(file.read_text())["summary"]
    assert {row["section"] for row in summary} == set(OTHER_SECTIONS)
    assert all(row["ratio"] is not None for row in summary if row["section"] != "memory")
    assert not any(row["pinned"] for row in summary)


def test_members_of_a_domain_stand_beside_c_in_the_same_mode(tmp_path: Path) -> None:
    """C is measured pinned for one member, and not pinned for three, unless one of both was asked for."""
    file = tmp_path / "result.json"
    rows = ["asyncio agreed, 1 member", "asyncio agreed, 3 members"]
    short = ["--rounds", "1", "--seconds", "0.02", "--no-sched-rr", "--json", str(file)]
    done = run("benchmarks.evs", "--rows", *rows, *short)
    assert done.returncode == 0, done.stderr
    summary = json.loads(file.read_text())["summary"]
    ours = {f"{row['client']} {row['workload']}": row for row in summary if row["client"] != "C"}
    assert [ours[name]["pinned"] for name in rows] == [choose(cpus()) is not None, False]
    assert all(row["ratio"] for row in ours.values())


def test_the_command_names_the_choices_when_a_loop_is_unknown() -> None:
    """A wrong word ends with what would be right, not with a traceback."""
    done = run_benchmarks("--loops", "gevent")
    assert done.returncode == 2
    assert "asyncio" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("local_directory")
def test_engines_are_measured_side_by_side(tmp_path: Path) -> None:
    """All three; Redis and NATS too, where they are installed."""
    file = tmp_path / "result.json"
    done = run("benchmarks.engines", "--rounds", "1", "--seconds", "0.05", "--json", str(file))
    assert done.returncode == 0, done.stderr
    rows = [row for row in json.loads(file.read_text())["summary"] if row["section"] == "engines"]
    assert {"corosync://", "local://", "memory://"} <= {row["client"] for row in rows}
    assert all(row["figures"]["messages_per_second"]["median"] > 0 for row in rows)
