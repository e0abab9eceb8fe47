"""The project that the page on pytest begins with: its dependencies and a few lines of tests, nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from examples.programs import EXAMPLES


def test_project_of_ones_own_passes(tmp_path: Path) -> None:
    """Copied out of the checkout, with its own configuration and every warning an error."""
    shutil.copytree(EXAMPLES / "project", tmp_path / "orders", ignore=shutil.ignore_patterns("__pycache__"))
    argv = [sys.executable, "-m", "pytest", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function"]
    done = subprocess.run(argv, cwd=tmp_path / "orders", capture_output=True, text=True, check=False, timeout=120)
    assert "= 3 passed in" in done.stdout, done.stdout + done.stderr


def test_project_of_ones_own_installs(tmp_path: Path) -> None:
    """As the page says, ``pip install -e``; what it takes is asked of setuptools, so that nothing is downloaded."""
    shutil.copytree(EXAMPLES / "project", tmp_path / "orders", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_editable; build_editable('.')"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=tmp_path / "orders", capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
