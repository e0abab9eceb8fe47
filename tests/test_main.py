"""``python -m aiocpg`` and the script ``aiocpg`` are the same program, with the extra ``cli`` and without it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import aiocpg
import aiocpg.cli

WITHOUT_TYPER = "import runpy, sys; sys.modules['typer'] = None; runpy.run_module('aiocpg', run_name='__main__')"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter with these arguments."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_module_is_the_command_line() -> None:
    """It answers as the script would."""
    assert run("-m", "aiocpg", "--version").stdout == f"{aiocpg.__version__}\n"


def test_script_is_the_command_line() -> None:
    """The installed script calls the function that the module calls."""
    (script,) = entry_points(group="console_scripts", name="aiocpg")
    assert script.load() is aiocpg.cli.main


def test_missing_extra_is_told_with_the_cure() -> None:
    """One line, status 2, no traceback."""
    done = run("-c", WITHOUT_TYPER)
    assert done.returncode == 2
    assert done.stderr == "aiocpg: the command line needs typer, which comes with: pip install 'aiocpg[cli]'\n"
