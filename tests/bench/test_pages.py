"""What the benchmarks make of their measurements: ratios, tables, plots and a page, out of made-up ones."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from benchmarks import plots as drawing
from benchmarks.brokers import missing
from benchmarks.engines import found
from benchmarks.figures import ANCHOR, FLOOD, LATENCY, Measurement
from benchmarks.report import Row, Spread, as_json, rows_of, summarise
from benchmarks.results import page
from benchmarks.runner import ROWS
from benchmarks.sections import SECTIONS, tables
from benchmarks.series import plots
from benchmarks.tables import as_markdown, as_text

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs" / "reference"
SETTINGS = {"rounds": 2, "seconds": 1.0, "sched_rr": True}


def flood(number: int, client: str, rate: float, *, pinned: bool = True, size: int = 64) -> Measurement:
    """Make one of throughput; C floods, all others send in batches."""
    figures = {"messages_per_second": rate, "bytes_per_second": rate * size, "cpu_per_message": 1 / rate}
    workload = FLOOD if client == ANCHOR else "batches"
    return Measurement(number, "throughput", client, workload, size, pinned, figures, f"{ANCHOR} {FLOOD}")


def latency(number: int, client: str, p50: float) -> Measurement:
    """Make one of latency."""
    figures = {"p50": p50, "p99": 2 * p50, "p999": 3 * p50, "cpu_per_message": p50 / 2}
    return Measurement(number, "latency", client, LATENCY, 64, True, figures, f"{ANCHOR} {LATENCY}")


TWO_ROUNDS = (
    *(flood(1, ANCHOR, 100), flood(1, "asyncio", 50), flood(2, ANCHOR, 400), flood(2, "asyncio", 300)),
    *(latency(1, ANCHOR, 1e-5), latency(1, "trio", 2e-5)),
)


def row_of(rows: list[Row], client: str) -> Row:
    """The first row of a client."""
    return next(row for row in rows if row.client == client)


def test_ratio_is_taken_within_a_round() -> None:
    """The rates of the rounds differ by far more than the ratios do."""
    ratio = row_of(summarise(TWO_ROUNDS), "asyncio").ratio
    assert ratio == Spread(0.625, 0.5, 0.75)


def test_ratio_of_a_latency_is_that_of_the_medians() -> None:
    """Twice the time is a ratio of two."""
    assert row_of(summarise(TWO_ROUNDS), "trio").ratio == Spread(2, 2, 2)


def test_ratio_is_left_out_where_nothing_stands_beside_it() -> None:
    """A part can be measured alone."""
    (row,) = summarise([flood(1, "asyncio", 50)])
    assert row.ratio is None
    assert "-" in as_text([row]).split()


def test_ratio_is_never_between_pinned_and_not_pinned() -> None:
    """They are different machines, as it were."""
    rows = summarise([flood(1, ANCHOR, 100), flood(1, "asyncio", 50, pinned=False)])
    assert row_of(rows, "asyncio").ratio is None


def test_rows_are_what_they_were_after_a_file() -> None:
    """Plots and pages are made of the file, and have all that the table had."""
    result = json.loads(json.dumps(as_json({}, SETTINGS, TWO_ROUNDS)))
    assert rows_of(result) == summarise(TWO_ROUNDS)


@pytest.mark.parametrize(
    ("modes", "said"),
    [((True, True), "pinned"), ((False, False), "not pinned"), ((True, False), "pinned or not, as marked")],
)
def test_table_says_whether_it_was_pinned(modes: tuple[bool, bool], said: str) -> None:
    """And marks each row when some were and some were not."""
    (table,) = tables(summarise([flood(1, name, 50, pinned=pin) for name, pin in zip("ab", modes, strict=True)]))
    assert table.mode == said
    assert ("pinned" in table.lines[0]) == (len(set(modes)) == 2)


def test_table_is_sorted_by_size() -> None:
    """Whatever was measured first."""
    (table,) = tables(summarise([flood(1, ANCHOR, 50, size=size) for size in (8192, 64)]))
    assert [line[0] for line in table.lines] == ["bytes", "64", "8,192"]


def test_markdown_has_a_rule_below_the_titles() -> None:
    """It is a table for the docs."""
    assert as_markdown([["a", "b"], ["1", "2"]]) == "| a | b |\n| ---: | ---: |\n| 1 | 2 |"


def test_plot_of_throughput_shows_ratios_and_no_line_for_c() -> None:
    """C is one everywhere."""
    plot = plots(summarise(TWO_ROUNDS))[0]
    assert [line.label for line in plot.lines] == ["asyncio batches"]
    assert [(point.size, point.value, point.low, point.high) for point in plot.lines[0].points] == [
        (64, 0.625, 0.5, 0.75)
    ]


def test_plot_of_latency_is_in_microseconds() -> None:
    """Beside C, which has a line there."""
    (plot,) = (plot for plot in plots(summarise(TWO_ROUNDS)) if plot.file == "latency.svg")
    values = {line.label: line.points[0].value for line in plot.lines}
    assert values == pytest.approx({"C latency": 10, "trio latency": 20})


def test_plots_without_data_are_left_out() -> None:
    """A run of another row has none."""
    assert plots([]) == []
    assert [plot.file for plot in plots(summarise([latency(1, ANCHOR, 1e-5)]))] == ["latency.svg"]


def test_page_of_results_has_the_machine_the_plots_and_the_tables() -> None:
    """All that was measured is on it."""
    text = page(as_json({"cpu": "of clay", "cpus": 2}, SETTINGS, TWO_ROUNDS))
    assert "| cpu | of clay |" in text
    assert "2 rounds, 1 s" in text
    assert text.count("](throughput.svg)") == text.count("](latency.svg)") == 1
    assert "0.62 (0.50 to 0.75)" in text
    assert [line for line in text.splitlines() if line.startswith("## ")][1:] == [
        f"## {section.title}" for section in SECTIONS[:2]
    ]


def test_page_of_results_is_always_the_same() -> None:
    """It can be made anew and compared."""
    result: dict[str, Any] = as_json({}, SETTINGS, TWO_ROUNDS)
    assert page(result) == page(json.loads(json.dumps(result)))


def test_docs_name_every_row() -> None:
    """A row that can be asked for is explained."""
    text = (DOCS / "benchmarks.md").read_text()
    assert [name for name in ROWS if f"`{name}`" not in text] == []


def test_broker_that_is_not_installed_is_left_out_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line says what to install; the engines are measured without it."""
    monkeypatch.setenv("PATH", "")
    assert [line.split(":")[0] for line in missing()] == ["without redis", "without nats"]
    assert found() == ["corosync://", "evs over corosync://", "local://", "memory://"]


def test_plots_say_what_to_install_where_there_is_no_matplotlib(tmp_path: Path) -> None:
    """It is no part of what aiocpg needs."""
    file = tmp_path / "run.json"
    file.write_text(json.dumps(as_json({}, SETTINGS, TWO_ROUNDS)))
    program = (
        "import sys; sys.modules['matplotlib'] = None; from benchmarks.plots import main; sys.exit(main(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", program, str(file), str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "pip install matplotlib" in done.stderr) == (1, True)


if importlib.util.find_spec("matplotlib"):  # and no skip, which CI forbids

    def test_plots_are_the_same_bytes_each_time(tmp_path: Path) -> None:
        """Drawn anew from the same file, nothing changes in the repository."""
        for plot in plots(summarise(TWO_ROUNDS)):
            assert drawing.draw(plot, tmp_path).read_bytes() == drawing.draw(plot, tmp_path).read_bytes()
