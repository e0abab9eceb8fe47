"""The reference of the command line has every command with every option, and every status."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from aiocpg.cli._app import app
from aiocpg.cli._status import Status

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text()
COMMON = {"--help", "--url", "--json"}
PROGRAM: Any = typer.main.get_command(app)


def section(command: str) -> str:
    """The part of the page on a command."""
    return PAGE.partition(f"## aiocpg {command}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("command", sorted(PROGRAM.commands.keys() - {"cluster", "broker"}))
def test_reference_has_every_option(command: str) -> None:
    """Its table is what the program takes, but for the options that all commands have."""
    assert section(command).strip()
    table = re.findall(r"^\| `(--[\w-]+)` \|", section(command), re.MULTILINE)
    options = {name for parameter in PROGRAM.commands[command].params for name in parameter.opts if name[0] == "-"}
    assert sorted(table) == sorted(options - COMMON)


def test_reference_has_every_status() -> None:
    """Those of the table in the source; those of signals stand below them."""
    table = PAGE.partition("| status |")[2].partition("\n\n")[0]
    assert [int(status) for status in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)] == list(Status)
