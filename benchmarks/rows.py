"""
The rows that are measured by themselves, each in its round: sizes, groups, iterators, nodes, memory.

Each takes the bench and the number of the round, and yields what it measured, with the name of what that is compared
with. EVS and the engines have files of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from aiocpg.testing import CorosyncCluster

from .bare import BARE, EACH
from .bench import Bench
from .figures import ANCHOR, FLOOD, LATENCY, Figures, Measurement
from .pinning import choose, cpus
from .stage import Stage

GROUPS = (1, 10, 100)
ITERATORS = (1, 4, 16)
HOW_READ = ("batches", "one by one")
SMALL = 64
"""Bytes of a message where the size is not what is asked."""
NODES = 3
NODES_SIZE = 1600
NODES_WORKLOADS = ("batches", LATENCY)


def sizes(bench: Bench, number: int) -> Iterator[Measurement]:
    """Every loop and workload beside C, at every size."""
    bench.pin(single=True)
    for size in bench.settings.sizes:
        bench.tell(f"{size} bytes")
        yield from _beside_c(bench, number, size, bench.settings.workloads, ("throughput", "latency"))


def nodes(bench: Bench, number: int) -> Iterator[Measurement]:
    """The same with more than one node: one member sends, and every node's daemon takes part in the order."""
    with CorosyncCluster(nodes=NODES, sched_rr=bench.settings.sched_rr, transport="knet") as cluster:
        here = replace(bench, stage=Stage(cluster.nodes, choose(cpus())))
        here.pin(single=True)
        sections = ("nodes throughput", "nodes latency")
        yield from _beside_c(here, number, NODES_SIZE, NODES_WORKLOADS, sections)


def _beside_c(
    bench: Bench, number: int, size: int, workloads: tuple[str, ...], sections: tuple[str, str]
) -> Iterator[Measurement]:
    """Yield the best of the reference's bursts, which is the anchor, its latency, and ours."""

    def measured(client: str, workload: str, figures: Figures) -> Measurement:
        section, beside = (sections[1], LATENCY) if workload == LATENCY else (sections[0], FLOOD)
        pinned = bench.stage.is_pinned
        return Measurement(number, section, client, workload, size, pinned, figures, f"{ANCHOR} {beside}")

    said = bench.c(size)
    yield measured(ANCHOR, FLOOD, best_run(said))
    yield measured(ANCHOR, LATENCY, said["latency"])
    for loop in bench.settings.loops:
        for workload in workloads:
            yield measured(loop, workload, bench.ours("workloads", loop, workload, size))
    for client, workload in _bare(bench.settings.loops, workloads):
        loop = client.removeprefix(BARE).strip() or bench.settings.loops[0]
        yield measured(client, workload, bench.ours("bare", loop, workload, size))


def _bare(loops: tuple[str, ...], workloads: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield what is measured of a Python program that does the least: who, and what. Its flood needs no loop."""
    if set(workloads) - {LATENCY}:
        yield from ((BARE, FLOOD), (BARE, EACH))
    if LATENCY in workloads:
        yield from ((f"{BARE} {loop}", LATENCY) for loop in loops if loop != "trio")  # has no reader without a task


def best_run(said: dict[str, list[Figures]]) -> Figures:
    """Return the best of the reference's bursts."""
    return max(said["runs"], key=lambda figures: figures["messages_per_second"])


def groups(bench: Bench, number: int) -> Iterator[Measurement]:
    """More and more groups in one process, beside one."""
    bench.pin(single=True)
    loop = bench.settings.loops[0]
    for count in GROUPS:
        figures = bench.ours("groups", loop, count, SMALL)
        workload, beside = _counted(count, "group"), f"{loop} {_counted(1, 'group')}"
        yield Measurement(number, "groups", loop, workload, SMALL, bench.stage.is_pinned, figures, beside)


def iterators(bench: Bench, number: int) -> Iterator[Measurement]:
    """More and more readers of one group, each way of reading, beside one that reads in batches."""
    bench.pin(single=True)
    loop = bench.settings.loops[0]
    beside = f"{loop} {_counted(1, 'iterator')}, {HOW_READ[0]}"
    for count in ITERATORS:
        for how in HOW_READ:
            figures = bench.ours("iterators", loop, count, how, SMALL)
            workload = f"{_counted(count, 'iterator')}, {how}"
            yield Measurement(number, "iterators", loop, workload, SMALL, bench.stage.is_pinned, figures, beside)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count > 1)}"


def memory(bench: Bench, number: int) -> Iterator[Measurement]:
    """What a process has resident after some messages and after many."""
    bench.pin(single=True)
    loop, first, more = bench.settings.loops[0], bench.settings.first_messages, bench.settings.more_messages
    # Ten thousand messages a second are less than the slowest machine moves.
    seconds = (first + more) / 10_000
    figures = bench.stage.ask(bench.argv("memory", loop, SMALL, first, more), seconds)
    workload = f"{first:,} and {more:,} more"
    yield Measurement(number, "memory", loop, workload, SMALL, bench.stage.is_pinned, figures)
