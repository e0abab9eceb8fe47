"""``aiocpg bench``: a short measurement, with a bar for who waits for it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import aiocpg
from aiocpg.cli._bench import _latency, _throughput
from aiocpg.testing import ClusterNode
from cli.terminals import Terminal, records, run


def test_rate_and_latency_are_measured(node: ClusterNode) -> None:
    """In a record; the group is gone afterwards."""
    (record,) = records(run(node, "bench", "--seconds", "0.2", "--size", "100"))
    assert record["messages_per_second"] > 0
    assert 0 < record["min_ms"] <= record["median_ms"] <= record["p99_ms"] <= record["max_ms"]
    assert not [group for group in records(run(node, "groups")) if "bench" in group["group"]]


@pytest.mark.anyio
async def test_something_is_measured_however_short_it_is() -> None:
    """A machine may stand still from the beginning of a measurement to its end."""
    async with aiocpg.connect("memory://bench") as cpg, cpg.join("bench", max_buffered_bytes=0) as group:
        rate = await _throughput(group, b"data", 0, lambda: None)
        latency = await _latency(group, b"data", 0, lambda: None)
    assert rate["messages_per_second"] > 0
    assert latency["min_ms"] == latency["max_ms"] > 0


def test_bar_is_drawn_on_a_terminal(node: ClusterNode, terminal: Callable[..., Terminal]) -> None:
    """And the result is a table."""
    bench = terminal(node, "bench", "--seconds", "0.3", on_terminal=True)
    assert bench.ended() == 0
    assert any("measuring" in line for line in bench.lines)
    assert any(line.startswith("messages per second") for line in bench.lines)


def test_size_over_the_limit_is_refused(node: ClusterNode) -> None:
    """Before anything is sent."""
    assert run(node, "bench", "--size", "2000000").returncode == 2
