"""Finds the CPythons of this machine: on the PATH, and those that pyenv keeps."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_WHO = "import sys; print(sys.implementation.name, '%d.%d' % sys.version_info[:2], sys.executable, sep='|')"


def find(version: str) -> Path | None:
    """
    Find a CPython that runs.

    Args:
        version: Major and minor, as in ``3.12``.
    """
    for candidate in _candidates(version):
        if (executable := _executable(candidate, version)) is not None:
            return executable
    return None


def _candidates(version: str) -> list[str]:
    # A shim of pyenv stands on the PATH also where it would refuse to run; what it stands for is asked for by name.
    return [f"python{version}", *(f"{prefix}/bin/python" for prefix in _prefixes(version)), "python3"]


def _prefixes(version: str) -> list[str]:
    if shutil.which("pyenv") is None:
        return []
    known = [name for name in _lines("pyenv", "versions", "--bare") if name.startswith(f"{version}.")]
    return [prefix for name in known for prefix in _lines("pyenv", "prefix", name)]


def _executable(candidate: str, version: str) -> Path | None:
    match [line.split("|") for line in _lines(candidate, "-I", "-c", _WHO)]:
        case [["cpython", found, executable]] if found == version:
            return Path(executable)
    return None


def _lines(*command: str) -> list[str]:
    try:
        # A virtual environment's variables would have another interpreter believe that it is that one.
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
