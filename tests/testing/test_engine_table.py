"""The table of engines in the docs says what the conformance suite finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiocpg.testing import check_engine
from support.engine_table import WORLDS, column, table

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "engine-table.md"


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("local_directory")
@pytest.mark.parametrize("engine", WORLDS)
async def test_table_says_what_the_suite_finds(engine: str) -> None:
    """To write it anew, see support/engine_table.py."""
    with WORLDS[engine]() as world:
        found = column(await check_engine(world))
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in PAGE.read_text().splitlines()]
    place = rows[0].index(f"`{engine}`")
    assert [row[place] for row in rows[2:]] == found


def test_table_has_a_row_for_each_check_and_a_column_for_each_engine() -> None:
    """Also when one is added."""
    shape = [line.count("|") for line in table({engine: ["yes"] * 100 for engine in WORLDS}).splitlines()]
    assert [line.count("|") for line in PAGE.read_text().splitlines()] == shape
