"""The page about the traps and the tests of this directory say the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from traps.page import PAGE, rows

HERE = Path(__file__).parent
FACTS = {5, 13, 20}


def functions() -> dict[int, set[str]]:
    """Return the names of the test functions by the number in their file's name."""
    found: dict[int, set[str]] = {}
    for path in HERE.glob("test_trap_*.py"):
        names = {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.AsyncFunctionDef)}
        found[int(path.stem.split("_")[2])] = {name for name in names if name.startswith("test_")}
    return found


def test_page_has_every_trap_once() -> None:
    """Twenty traps, in order, each with something in every column."""
    assert [row.number for row in rows()] == list(range(1, 21))
    assert all(row.trap and row.promise for row in rows())


def test_page_names_exactly_the_tests_there_are() -> None:
    """Each trap has its tests in the file of its number, all of them are named, and nothing else is."""
    assert {row.number: set(row.tests) for row in rows()} == functions()
    assert all(len(row.tests) == len(set(row.tests)) > 0 for row in rows())


def test_every_trap_but_a_fact_has_its_naive_program() -> None:
    """What can be done wrong is shown done wrong, and nothing lies about that no test runs."""
    programs = {path.stem for path in HERE.glob("naive/trap_*.py")}
    assert set(range(1, 21)) - {int(name.split("_")[1]) for name in programs} <= FACTS
    tests = "\n".join(path.read_text() for path in HERE.glob("test_trap_*.py"))
    programs |= {path.stem for path in HERE.glob("ours/*.py")}
    assert programs == set(re.findall(r'(?:naive|ours)\(\w+(?:\.node\(1\))?, "(\w+)"', tests))


def test_page_marks_the_facts() -> None:
    """What code cannot remove is called a fact, and explained below the table."""
    assert {row.number for row in rows() if row.promise.startswith("A fact")} == FACTS
    assert all(f"## Trap {number}:" in PAGE.read_text() for number in FACTS)
