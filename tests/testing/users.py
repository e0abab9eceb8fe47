"""
Programs as an ordinary user, started by root: with no capability, in a directory of the user's own.

Interpreter, virtual environment and checkout may lie where only root can look, under /root for one. Then the program
gets mounts of its own, in which such a directory shows these and nothing else to everybody.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import aiocpg.testing

NOBODY = 65534
SOURCE = Path(aiocpg.testing.__file__).parents[2]
PATIENCE = 60
"""Seconds until a program of a test is given up."""


def as_user(directory: Path) -> list[str]:
    """The words that make a command one of the ordinary user; `directory` is an empty one for passing mounts on."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), SOURCE, Path(aiocpg.__file__).parents[1]}
    hidden = defaultdict(set)
    for path in needed:
        for closed in [parent for parent in reversed(path.parents) if not _is_open(parent)][:1]:
            hidden[closed].add(path)
    script = "\n".join(["set -e", *_shown(hidden, directory), 'exec setpriv "$@"'])
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all"]
    return ["unshare", "--mount", "sh", "-c", script, "sh", *user]


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXOTH)


def _shown(hidden: dict[Path, set[Path]], directory: Path) -> list[str]:
    """The lines of a shell that leave of each directory the paths below it, for everybody."""
    lines = []
    stage = {path: directory / str(number) for number, path in enumerate(set().union(*hidden.values()))}
    for path, place in stage.items():
        lines += [f'mkdir -p "{place}"', f'mount --bind "{path}" "{place}"']
    for closed, paths in hidden.items():
        lines.append(f'mount -t tmpfs -o mode=755 tmpfs "{closed}"')
        for path in paths:
            lines += [f'mkdir -p "{path}"', f'mount --bind "{stage[path]}" "{path}"']
    return lines


def start(words: list[str], home: Path | str = "/", **options: Any) -> subprocess.Popen[str]:
    """Start a program in a directory, with this package on its path and its output in a pipe."""
    bins = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"], "/usr/sbin"])
    environment = {"PYTHONPATH": str(SOURCE), "PATH": bins, "HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(words, cwd=home, env=environment, text=True, **(output | options))


def run(words: list[str], home: Path | str = "/", **options: Any) -> tuple[int, str]:
    """Run a program to its end; returns its status and what it said."""
    with start(words, home, **options) as process:
        try:
            said, _ = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
    return process.returncode, said
