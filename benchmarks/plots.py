"""
Draws a run: ``python -m benchmarks.plots FILE.json DIRECTORY``. Needs matplotlib.

The same file gives the same pictures, byte for byte with one version of matplotlib: no dates, and fixed ids.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from .report import rows_of
from .series import Plot, plots

STYLE: dict[Any, Any] = {
    "svg.hashsalt": "aiocpg",
    "svg.fonttype": "none",
    "figure.figsize": (8.0, 5.0),
    "legend.fontsize": "small",
}
NO_DATE = {"Date": None, "Creator": None}
LIGHT = 0.12
"""How opaque the spread behind a line is."""


def draw(plot: Plot, directory: Path) -> Path:
    """Draw one picture into a file there, and return the file."""
    from matplotlib import rc_context  # noqa: PLC0415 - only for who draws
    from matplotlib.figure import Figure  # noqa: PLC0415

    with rc_context(STYLE):
        figure = Figure(layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale=plot.y_scale)
        axes.set(title=plot.title, xlabel="bytes in a message", ylabel=plot.y_title)
        for line in plot.lines:
            _draw_line(axes, line.label, [(p.size, p.value, p.low, p.high) for p in line.points])
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        figure.savefig(directory / plot.file, format="svg", metadata=NO_DATE)
    return directory / plot.file


def _draw_line(axes: Any, label: str, points: list[tuple[int, float, float, float]]) -> None:
    """Draw medians as a line, and lowest to highest as a band."""
    sizes, values, lows, highs = zip(*points, strict=True)
    (drawn,) = axes.plot(sizes, values, marker="o", markersize=3, label=label)
    axes.fill_between(sizes, lows, highs, color=drawn.get_color(), alpha=LIGHT, linewidth=0)


def main(arguments: list[str]) -> int:
    """Draw all that the file has data for."""
    if len(arguments) != 2:
        print("usage: python -m benchmarks.plots FILE.json DIRECTORY", file=sys.stderr)
        return 2
    file, directory = map(Path, arguments)
    try:
        for plot in plots(rows_of(json.loads(file.read_text()))):
            print(draw(plot, directory))
    except ImportError as error:
        print(f"{error}: pip install matplotlib, or scripts/bench, which does it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
