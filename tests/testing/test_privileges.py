"""The command that an ordinary user is told is the one that was typed, under the launcher."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from aiocpg.testing._privileges import command_line


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program `pytest` on the path, next to this interpreter."""
    script = tmp_path / "pytest"
    script.touch(mode=0o755)
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert shutil.which("pytest") == str(script)
    return str(script)


def test_a_program_on_the_path_is_named_as_it_is_typed(installed: str) -> None:
    """`pytest -k foo` is run by an interpreter with the path of a script, which nobody typed."""
    assert command_line([sys.executable, installed, "-k", "foo"], [installed, "-k", "foo"]) == ["pytest", "-k", "foo"]


def test_a_module_is_run_as_one(installed: str) -> None:
    """`python -m pytest x.py` stays that."""
    typed = ["python", "-m", "pytest", "x.py"]
    assert command_line(typed, ["/site-packages/pytest/__main__.py", "x.py"]) == typed


def test_a_script_elsewhere_keeps_its_path_and_its_interpreter(installed: str) -> None:
    """A file of the user's need not be executable."""
    assert command_line([sys.executable, "./my.py", "x"], ["./my.py", "x"]) == ["python", "./my.py", "x"]


@pytest.mark.parametrize("program", ["script", "module"])
def test_a_worker_of_xdist_tells_what_its_master_was_told(installed: str, program: str) -> None:
    """Workers are started by `python -c`, and have the arguments of their master."""
    first, told = (
        (installed, ["pytest"]) if program == "script" else ("/x/pytest/__main__.py", ["python", "-m", "pytest"])
    )
    assert command_line([sys.executable, "-u", "-c", "import sys"], [first, "-n", "2"]) == [*told, "-n", "2"]


def test_an_interpreter_off_the_path_is_named_in_full(installed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command must work where it is pasted."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert command_line(["python", "-m", "pytest"], []) == [sys.executable, "-m", "pytest"]
    assert command_line(["python", installed], [installed]) == [sys.executable, installed]
