"""
``python -m aiocpg.testing -- COMMAND``: run a command where it may start test clusters, without being root.

The command is executed in place of this process, so its exit status, its signals and its terminal are its own.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from . import _privileges, _userns
from ._errors import ClusterError

_ABOUT = """\
Run COMMAND where it may start Corosync test clusters: in user, mount and network namespaces of its own, in which you
are root and no network but the loopback device exists. Root with the rights that takes just runs COMMAND.
"""


def main(arguments: Sequence[str]) -> str:
    """Execute the command; comes back only with what went wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m aiocpg.testing", description=_ABOUT, usage="%(prog)s [-h] -- COMMAND [ARGUMENT ...]"
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="for example: pytest tests")
    words: list[str] = parser.parse_args(arguments).command
    command = words[1:] if words[:1] == ["--"] else words
    if not command:
        parser.error("there is no COMMAND")
    try:
        if not _privileges.are_there():
            _userns.enter()
        os.execvp(command[0], command)
    except ClusterError as error:
        return f"aiocpg.testing: {error}"
    except OSError as error:
        return f"aiocpg.testing: cannot run {command[0]}: {error.strerror}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
