"""
The command line: ``aiocpg``, also ``python -m aiocpg``. Needs the extra ``cli``.

A file per group of commands holds what is typed and printed; what takes more than a page to do stands beside it.
Results go to stdout, a fact a line; everything else goes to stderr.
"""

from __future__ import annotations

import importlib.util
import sys

from ._descriptors import hold_standard_descriptors


def main() -> None:
    """Run the command line and exit with its status; with 2 and the cure where the extra is not installed."""
    hold_standard_descriptors()
    if importlib.util.find_spec("typer") is None:
        sys.stderr.write("aiocpg: the command line needs typer, which comes with: pip install 'aiocpg[cli]'\n")
        sys.exit(2)
    from ._app import app  # noqa: PLC0415 - typer must be there

    app(prog_name="aiocpg")
