"""The dashboard's program: three instances on a stage, or one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.standstills import without_standstills

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "examples.dashboard"]
"""To be run in ROOT."""
PATIENCE = 30
"""Seconds until something that should happen counts as not happening."""


@contextmanager
def dashboard(directory: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run the program until the block ends. What it prints and nobody reads is a failure, and so is its status."""
    environment = os.environ | {"AIOCPG_LOCAL_DIR": str(directory), "PYTHONWARNINGS": "error"}
    argv = [*PROGRAM, *arguments]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, process_group=0, **pipes) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does it
            try:
                rest = without_standstills(process.communicate(timeout=PATIENCE)[0])
            finally:
                process.kill()
        assert (process.returncode, rest) == (0, ""), f"ended with {process.returncode}: {rest}"


def until_it_listens(process: subprocess.Popen[str]) -> None:
    """Read the two lines that aiohttp prints when it listens."""
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(2)]
    assert "Running on http://" in printed[0], "".join(printed)


@contextmanager
def stage(option: str, directory: Path) -> Iterator[list[str]]:
    """Run three instances; yields their URLs."""
    with dashboard(directory, option, "--port", "0") as process:
        yield urls_of(process)


def urls_of(process: subprocess.Popen[str]) -> list[str]:
    """Read what a stage prints when its instances are started; returns their URLs."""
    assert process.stdout is not None
    printed = [process.stdout.readline() for _ in range(4)]
    urls = [found[0] for line in printed if (found := re.search(r"http://\S+", line))]
    assert len(urls) == 3, "".join(printed)
    return urls
