"""Lays the tables out: aligned for a terminal, piped for the docs. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .report import Row
from .sections import Table, tables


def as_text(rows: Sequence[Row]) -> str:
    """Return the tables for people at a terminal."""
    return "\n\n".join(_text(table) for table in tables(rows))


def _text(table: Table) -> str:
    return f"{table.title}; medians over the rounds, {table.mode}\n\n{_aligned(table.lines)}"


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Set columns flush right; words and numbers alike read well so."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def as_markdown(lines: Sequence[Sequence[str]]) -> str:
    """Return one table for the docs."""
    titles, *rest = lines
    rule = ["---:"] * len(titles)
    return "\n".join(f"| {' | '.join(line)} |" for line in [titles, rule, *rest])
