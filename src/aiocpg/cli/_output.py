"""
What is printed, for whom: lines and tables for people where stdout is a terminal, else an object of JSON a line.

Writing may wait for whoever reads. It is done aside, so that the loop goes on and corosync is relieved of its events.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import anyio

from ._aside import Aside
from ._records import Fact, Line, Record

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_STDOUT = 1


class Output:
    """The standard output. A reader that has gone is :class:`BrokenPipeError`."""

    def __init__(self, as_json: bool) -> None:
        self.is_for_people = not as_json and os.isatty(_STDOUT)
        self._aside = Aside()
        self._console = _console() if self.is_for_people else None

    async def tell(self, *facts: Fact) -> None:
        """Print facts, a line each. Returns when they are written."""
        await self._put([fact.record for fact in facts], lambda: [_text(fact.line) for fact in facts])

    async def tell_table(
        self, records: Iterable[Record], columns: Sequence[str], rows: Iterable[Sequence[str]]
    ) -> None:
        """Print records as a table with these columns and rows. Returns when it is written."""
        await self._put(records, lambda: [table_of(columns, rows)])

    async def draw(self, draw: Callable[[], object]) -> None:
        """Call something of rich's that prints by itself; returns when it has."""
        await self._aside.call(draw)

    async def _put(self, records: Iterable[Record], rendered: Callable[[], list[RenderableType]]) -> None:
        if self._console is None:
            text = "".join(f"{json.dumps(record)}\n" for record in records)
        else:
            with self._console.capture() as capture:
                for renderable in rendered():
                    self._console.print(renderable, soft_wrap=not hasattr(renderable, "columns"))
            text = capture.get()
        if text:
            await self._aside.call(lambda: _write(text.encode()))


async def reader_gone() -> None:
    """Return when nobody reads stdout any more, also while there is nothing to print; only a pipe can tell."""
    if not stat.S_ISFIFO(os.fstat(_STDOUT).st_mode):
        await anyio.sleep_forever()
    # The writing end of a pipe becomes "readable" when the last reading end is closed, and only then.
    await anyio.wait_readable(_STDOUT)


def _write(data: bytes) -> None:
    try:
        while data:
            data = data[os.write(_STDOUT, data) :]
    except OSError as error:
        raise named(error, "stdout") from error


def named(error: OSError, file: str) -> OSError:
    """The same error of a file that has no path, to be told by that name."""
    return OSError(error.errno, error.strerror, file)


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415 - only where there is a terminal

    # Nothing is guessed from the text: it is other people's.
    return Console(highlight=False, markup=False, emoji=False)


def _text(line: Line) -> RenderableType:
    from rich.text import Text  # noqa: PLC0415 - only where there is a terminal

    return Text.assemble(*line)


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Any:
    """A table of rich's; columns with numbers have ``/s`` or a unit in their name and stand to the right."""
    from rich.table import Table  # noqa: PLC0415 - only where there is a terminal
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in NUMBERS else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


NUMBERS = frozenset(("node", "pid", "number", "msg/s", "bytes/s", "total", "value"))
"""Columns that stand to the right."""


def complain(text: str) -> None:
    """Say on stderr what is wrong; when nobody is there to hear it, that is their choice."""
    try:
        sys.stderr.write(f"aiocpg: {text}\n")
        sys.stderr.flush()
    except (OSError, AttributeError):  # sys.stderr is None in a program that was started without
        return
