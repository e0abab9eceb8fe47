"""The tables: which there are, what each is about, and what its columns show. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from .report import Row

MICRO = 1e6
MILLI = 1e3
PER_CENT = 100
MIB = 1 / 2**20
KIB = 1 / 2**10


@dataclass(frozen=True)
class Column:
    """One figure of a row as text."""

    title: str
    cell: Callable[[Row], str]


@dataclass(frozen=True)
class Section:
    """One table."""

    name: str
    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Table:
    """A section with the rows of one run, as text."""

    title: str
    mode: str
    """Whether daemon and client were pinned."""
    lines: list[list[str]]
    """The titles of the columns, then the rows."""


def _figure(title: str, name: str, scale: float = 1.0, digits: int = 0, end: str = "median") -> Column:
    return Column(title, lambda row: f"{getattr(row.figures[name], end) * scale:,.{digits}f}")


def _ratio(row: Row) -> str:
    if row.ratio is None:
        return "-"
    return f"{row.ratio.median:.2f} ({row.ratio.low:.2f} to {row.ratio.high:.2f})"


SIZE = Column("bytes", lambda row: f"{row.size:,}")
CLIENT = Column("client", lambda row: row.client)
WORKLOAD = Column("workload", lambda row: row.workload)
PINNED = Column("pinned", lambda row: "yes" if row.pinned else "no")
RATIO = Column("ratio (spread)", _ratio)
BESIDE = Column("to", lambda row: row.beside if row.ratio else "-")
WHO = (SIZE, CLIENT, WORKLOAD)
RATES = (
    _figure("messages/s", "messages_per_second"),
    _figure("low", "messages_per_second", end="low"),
    _figure("high", "messages_per_second", end="high"),
    _figure("MB/s", "bytes_per_second", 1e-6, 1),
)
CPU = _figure("CPU us/message", "cpu_per_message", MICRO, 2)
TIMES = (
    _figure("p50 us", "p50", MICRO, 1),
    _figure("low", "p50", MICRO, 1, "low"),
    _figure("high", "p50", MICRO, 1, "high"),
    _figure("p99 us", "p99", MICRO, 1),
    _figure("p99.9 us", "p999", MICRO, 1),
)
GROUPS = (
    _figure("join p50 ms", "join_p50", MILLI, 2),
    _figure("KiB/group", "memory_per_group", KIB),
    _figure("idle CPU %", "idle_share", PER_CENT, 2),
)
MEMORY = (
    _figure("MiB after the first", "resident_first", MIB, 1),
    _figure("MiB after the others", "resident_more", MIB, 1),
    _figure("growth KiB", "growth", KIB),
)
RATE_COLUMNS = (*WHO, *RATES, CPU, RATIO, BESIDE)
TIME_COLUMNS = (*WHO, *TIMES, CPU, RATIO, BESIDE)

SECTIONS = (
    Section("throughput", "Throughput: messages sent and received back by one process", RATE_COLUMNS),
    Section("latency", "Latency: one message at a time, from the send to its own copy", TIME_COLUMNS),
    Section("groups", "Many groups in one process, all flooded at once", (*WHO, *RATES, CPU, *GROUPS, RATIO, BESIDE)),
    Section("iterators", "Many iterators over one group, each of which gets every message", RATE_COLUMNS),
    Section("nodes throughput", "Throughput with three nodes in the ring and one sender", RATE_COLUMNS),
    Section("nodes latency", "Latency with three nodes in the ring", TIME_COLUMNS),
    Section("memory", "Memory of a process that sends and receives", (*WHO, *MEMORY)),
    Section("evs throughput", "EVS: a packed domain beside C that sends each message alone", RATE_COLUMNS),
    Section("evs latency", "EVS: one message at a time, until it is delivered with its guarantee", TIME_COLUMNS),
    Section("engines", "All engines, and brokers beside them: one process sends and reads", RATE_COLUMNS),
    Section("engines latency", "All engines: one message at a time", TIME_COLUMNS),
)


def tables(rows: Sequence[Row]) -> Iterator[Table]:
    """Yield a table for each section that has rows, smaller messages first."""
    for section in SECTIONS:
        its_rows = sorted((row for row in rows if row.section == section.name), key=lambda row: row.size)
        if its_rows:
            yield _table(section, its_rows)


def _table(section: Section, rows: Sequence[Row]) -> Table:
    modes = {row.pinned for row in rows}
    columns = section.columns if len(modes) == 1 else (PINNED, *section.columns)
    mode = "pinned or not, as marked" if len(modes) > 1 else "pinned" if True in modes else "not pinned"
    lines = [[column.cell(row) for column in columns] for row in rows]
    return Table(section.title, mode, [[column.title for column in columns], *lines])
