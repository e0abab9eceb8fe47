"""The example programs, run as their readers run them: a process on a node, a terminal's worth of pipes, signals."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from aiocpg.testing import ClusterNode
from support.standstills import MARK

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 30
"""Seconds until something that should happen counts as not happening."""


def load(name: str) -> ModuleType:
    """Import an example without running it."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Program:
    """An example that runs; its lines are there as it prints them, errors among them."""

    def __init__(self, node: ClusterNode, name: str, *arguments: str) -> None:
        # A shell without job control starts its background jobs with SIGINT ignored, and children inherit that.
        argv = [
            "env",
            "--default-signal=INT",
            sys.executable,
            # Not -X dev: asyncio's word on slow steps would come between the lines.
            "-W",
            "error",
            "-u",
            EXAMPLES / f"{name}.py",
        ]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        self._process = node.spawn([*argv, *arguments], text=True, **pipes)
        self.name = name
        self.address = f"{node.nodeid}:{self._process.pid}"
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):  # the machine did, and the lines of a program are counted
                continue
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def until(self, holds: Callable[[list[str]], bool], what: str = "its condition") -> None:
        """Wait until something holds of the lines."""
        with self._changed:
            held = self._changed.wait_for(lambda: holds(self.lines) or self._has_ended(), PATIENCE)
            assert holds(self.lines), f"{self} {'waits for' if not held else 'ended without'} {what}"

    def until_line(self, pattern: str, count: int = 1) -> None:
        """Wait until so many lines match."""
        self.until(lambda lines: len([line for line in lines if re.fullmatch(pattern, line)]) >= count, repr(pattern))

    def type(self, *lines: str) -> None:
        """Write lines to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def close_input(self) -> None:
        """End its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(signum)

    def ended(self) -> int:
        """Wait for its end; return its status, when all it printed has been read."""
        try:
            status = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self} does not end") from None
        self._reader.join(PATIENCE)
        assert not [line for line in self.lines if line.startswith(("Traceback", "Exception ignored"))], str(self)
        return status

    def interrupt(self) -> None:
        """Press Ctrl-C; it must end at once and without complaint."""
        self.send(signal.SIGINT)
        assert self.ended() == 0, str(self)

    def close(self) -> None:
        """End it in any way."""
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _has_ended(self) -> bool:
        return not self._reader.is_alive() or self._process.poll() is not None

    def __str__(self) -> str:
        return "\n".join([f"{self.name}.py as {self.address}:", *self.lines[-40:], "--"])


class Stage:
    """Starts programs and ends those still running when the test is over."""

    def __init__(self) -> None:
        self.programs: list[Program] = []

    def start(self, node: ClusterNode, name: str, *arguments: str) -> Program:
        """Start an example on a node."""
        program = Program(node, name, *arguments)
        self.programs.append(program)
        return program


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage that is empty at the end."""
    stage = Stage()
    try:
        yield stage
    finally:
        for program in stage.programs:
            program.close()
