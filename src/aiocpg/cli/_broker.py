"""``aiocpg broker``: the broker of ``local://``, for a service manager."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from aiocpg import CPGError
from aiocpg.engine.local import foreground

from ._output import complain
from ._status import after_error


def broker(name: Annotated[str, typer.Argument(metavar="NAME", help="The world, as in local://NAME.")]) -> None:
    """
    Run the broker of local://NAME until SIGTERM or Ctrl-C, status 0.

    Without it the first process that connects starts one, which ends a while after the last has gone. What it has to
    say goes to stderr.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        foreground(name)
    except CPGError as error:
        status, text = after_error(error, endless=True) or (1, str(error))
        complain(text)
        raise typer.Exit(status) from None
