"""The options and arguments that several commands take, and a group's name as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer

from ._text import typed_name

Url = Annotated[
    str | None,
    typer.Option("--url", envvar="AIOCPG_URL", metavar="URL", help="What to connect to; corosync:// unless given."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print an object of JSON a line, as where stdout is no terminal.")]


def _name(text: str) -> bytes:
    try:
        return typed_name(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


GroupName = Annotated[
    bytes, typer.Argument(parser=_name, metavar="GROUP", help="The group's name; \\xHH in it is any byte.")
]
GroupNames = Annotated[
    list[bytes] | None, typer.Argument(parser=_name, metavar="[GROUP]...", help="Groups to join and to count in.")
]
