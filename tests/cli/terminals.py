"""``aiocpg`` as it is typed on a node: run to its end, or beside the test, on pipes or on a terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from aiocpg.testing import ClusterNode

# A shell without job control starts its background jobs with SIGINT ignored, and children inherit that.
PROGRAM = ("env", "--default-signal=INT", "-u", "AIOCPG_URL", sys.executable, "-W", "error", "-m", "aiocpg")
PATIENCE = 30
"""Seconds until something that should happen counts as not happening."""

STYLES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run(node: ClusterNode, *arguments: str, sent: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end, on pipes; it must not show a traceback."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with node.spawn([*PROGRAM, *arguments], **pipes) as process:
        try:
            out, error = process.communicate(sent, timeout=PATIENCE)
        finally:
            process.kill()
    assert b"Traceback" not in error, error.decode()
    return subprocess.CompletedProcess(process.args, process.returncode, out, error)


def records(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    """What a command that was done well has printed."""
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


class Terminal:
    """A command that runs beside the test. On a terminal of its own all it prints comes there, without the colours."""

    def __init__(self, node: ClusterNode, *arguments: str, on_terminal: bool = False, stdin: int | None = None) -> None:
        self._ends = pty.openpty() if on_terminal else ()
        ours, theirs = self._ends or (-1, subprocess.PIPE)
        pipes = {"stdin": theirs if stdin is None else stdin, "stdout": theirs, "stderr": theirs}
        self.process = node.spawn([*PROGRAM, *arguments], env=os.environ | {"COLUMNS": "100"}, **pipes)
        self.address = f"{node.nodeid}:{self.process.pid}"
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self.stdout = ours if on_terminal else self.process.stdout.fileno()
        self._reader = threading.Thread(target=self._read, daemon=True)
        if on_terminal:
            os.close(theirs)
        self._reader.start()

    def _read(self) -> None:
        rest = ""
        with suppress(OSError):  # a terminal whose other end is closed
            while chunk := os.read(self.stdout, 65536):
                *lines, rest = (rest + STYLES.sub("", chunk.decode())).replace("\r", "").split("\n")
                with self._changed:
                    self.lines += lines
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def until(self, holds: Callable[[list[str]], object]) -> None:
        """Wait until something holds of the lines."""
        with self._changed:
            self._changed.wait_for(lambda: holds(self.lines) or not self._reader.is_alive(), PATIENCE)
            assert holds(self.lines), "\n".join(["these lines came:", *self.lines])

    def until_line(self, *parts: str, count: int = 1) -> str:
        """Wait until so many lines contain all of these; return the last."""
        found: list[str] = []

        def there(lines: list[str]) -> bool:
            found[:] = [line for line in lines if all(part in line for part in parts)]
            return len(found) >= count

        self.until(there)
        return found[-1]

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it has printed so far."""
        return [json.loads(line) for line in self.lines]

    def until_left(self, address: str) -> None:
        """Wait until a record says that a member has left in order."""
        self.until_line('"left": {' + f'"{address}": "LEAVE"' + "}")

    def type(self, text: str) -> None:
        """Type, as on a keyboard."""
        os.write(self._ends[0] if self._ends else self.process.stdin.fileno(), text.encode())

    def ended(self) -> int:
        """Wait for its end; return its status. All it has printed has then been read, and has no traceback."""
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not [line for line in self.lines if "Traceback" in line], self.lines
        if self.process.stderr is not None:
            self.complaint = self.process.stderr.read().decode()
            assert "Traceback" not in self.complaint, self.complaint
        return status

    def told(self, signum: signal.Signals = signal.SIGINT) -> int:
        """Tell it to end; return its status."""
        self.process.send_signal(signum)
        return self.ended()

    def close(self) -> None:
        """End it in any way."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        if self._ends:
            os.close(self._ends[0])
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


@contextmanager
def desk() -> Iterator[Callable[..., Terminal]]:
    """A place to open terminals at, which are closed at the end."""
    with ExitStack() as stack:

        def open_terminal(node: ClusterNode, *arguments: str, **how: Any) -> Terminal:
            terminal = Terminal(node, *arguments, **how)
            stack.callback(terminal.close)
            return terminal

        yield open_terminal
