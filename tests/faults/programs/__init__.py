"""Programs that tests run as processes of their own: those that are killed, that fork, that must not share our memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiocpg
from aiocpg.testing import ClusterNode

HERE = Path(__file__).parent
SOURCE = Path(aiocpg.__file__).parent.parent


def start(node: ClusterNode, name: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
    """Start one of the programs beside this file on a node, with pipes to and from it."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    argv = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    return node.spawn(argv, env=environment, text=True, **(pipes | options))
