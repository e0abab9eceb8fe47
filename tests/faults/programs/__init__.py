"""Programs that tests run as processes of their own: they are killed, they fork, or their memory is looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiocpg
from aiocpg.testing import ClusterNode

HERE = Path(__file__).parent
SOURCE = Path(aiocpg.__file__).parent.parent


def command(name: str, *arguments: str) -> list[str]:
    """Return the command line of one of the programs beside this file."""
    return [sys.executable, str(HERE / f"{name}.py"), *arguments]


def start(
    node: ClusterNode, name: str, *arguments: str, wrapped_in: Sequence[str] = (), **options: Any
) -> subprocess.Popen[str]:
    """Start one of them on a node, with pipes to and from it, perhaps by a command that takes a command."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return node.spawn([*wrapped_in, *command(name, *arguments)], env=environment, text=True, **(pipes | options))
