"""
Writes the page of the docs about one run: ``python -m benchmarks.results FILE.json > .../results.md``.

The plots that it shows are those that ``benchmarks.plots`` draws of the same file, in the page's directory.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .report import rows_of
from .sections import tables
from .series import plots
from .tables import as_markdown

HEAD = """\
# Results of the benchmarks

One run of `python -m benchmarks`; {{doc}}`../benchmarks` says what the rows are and how to read them. This page is
made by `python -m benchmarks.results`, so nothing in it is written by hand.

{rounds} rounds, {seconds:g} s for each measurement; the daemon {priority}. All figures are medians over the
rounds; "low" and "high", and what stands behind a ratio, are the lowest and the highest.
"""


def page(result: dict[str, Any]) -> str:
    """Return the page: the machine, the plots, and every table."""
    settings, rows = result["settings"], rows_of(result)
    priority = "has real-time priority" if settings.get("sched_rr") else "has no real-time priority"
    parts = [
        HEAD.format(rounds=settings["rounds"], seconds=settings["seconds"], priority=priority),
        "## The machine\n\n" + as_markdown([["what", "value"], *_described(result["machine"])]),
        *(f"![{plot.title}: {plot.y_title}]({plot.file})" for plot in plots(rows)),
        *(f"## {table.title}\n\n{table.mode.capitalize()}.\n\n{as_markdown(table.lines)}" for table in tables(rows)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _described(machine: dict[str, Any]) -> Iterator[list[str]]:
    for name, value in machine.items():
        yield [name.replace("_", " "), f"{value:,}" if isinstance(value, int) else str(value)]


def main(arguments: list[str]) -> int:
    """Print the page."""
    if len(arguments) != 1:
        print("usage: python -m benchmarks.results FILE.json", file=sys.stderr)
        return 2
    print(page(json.loads(Path(arguments[0]).read_text())), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
