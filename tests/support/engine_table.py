"""
The table of what each engine keeps, as the docs have it: made by running the conformance suite on all of them.

``PYTHONPATH=tests python -m support.engine_table > docs/reference/engine-table.md``, as root, writes it anew.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import anyio

from aiocpg.engine.local._directory import VARIABLE
from aiocpg.testing import CorosyncCluster, MemoryCluster, check_engine
from aiocpg.testing.conformance import CHECKS, EngineReport, Outcome, World
from support.local_worlds import LocalWorld
from support.worlds import CorosyncWorld, MemoryWorld


@contextmanager
def _corosync() -> Iterator[World]:
    with CorosyncCluster(nodes=3) as cluster:
        yield CorosyncWorld(cluster)


@contextmanager
def _local() -> Iterator[World]:
    world = LocalWorld()
    try:
        yield world
    finally:
        world.end()


@contextmanager
def _memory() -> Iterator[World]:
    with MemoryCluster(nodes=3) as cluster:
        yield MemoryWorld(cluster)


WORLDS: Mapping[str, Callable[[], AbstractContextManager[World]]] = {
    "corosync://": _corosync,
    "local://": _local,
    "memory://": _memory,
}


def column(report: EngineReport) -> list[str]:
    """What the table says of an engine, a cell for each check."""
    words = {Outcome.KEPT: "yes", Outcome.BROKEN: "**no**"}
    return [words.get(result.outcome, result.seen) for result in report.results]


def table(columns: Mapping[str, list[str]]) -> str:
    """The page's table."""
    lines = ["| promise | what is tried | " + " | ".join(f"`{engine}`" for engine in columns) + " |"]
    lines.append("|---" * (2 + len(columns)) + "|")
    for number, check in enumerate(CHECKS):
        what = check.name.replace("_", " ")
        cells = " | ".join(cells[number] for cells in columns.values())
        lines.append(f"| {check.promise} | {what} | {cells} |")
    return "\n".join(lines) + "\n"


async def main() -> str:
    """Run everything."""
    columns = {}
    for engine, world in WORLDS.items():
        with world() as one:
            columns[engine] = column(await check_engine(one))
    return table(columns)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        os.environ[VARIABLE] = f"{directory}/local"
        print(anyio.run(main), end="")
