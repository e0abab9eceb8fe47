"""``aiocpg cluster up`` at a terminal of its own, as somebody runs it who types there."""

from __future__ import annotations

import os
import pty
import random
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

UP = (sys.executable, "-m", "aiocpg", "cluster", "up")
PATIENCE = 60
"""Seconds until something that should happen counts as not happening."""


def free_ports(count: int) -> int:
    """
    Return a port behind which so many are free, below those that the kernel gives to clients.

    They are free until somebody takes them, so each of the workers that run at once looks among others.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 4
    while True:
        port = 20000 + 3000 * worker + random.randrange(3000 - count)
        with ExitStack() as stack, suppress(OSError):
            for number in range(count + 1):
                stack.enter_context(socket.create_server(("127.0.0.1", port + number)))
            return port


class ClusterUp:
    """The command that runs; what it prints is there as it comes."""

    def __init__(self, argv: Sequence[str | Path], cwd: Path | None) -> None:
        self._ours, theirs = pty.openpty()
        # The terminal becomes its own: only then is there a foreground, and Ctrl-C.
        own = ["setsid", "--ctty", "--wait", "env", "--default-signal=INT", *argv]
        self.process = subprocess.Popen(own, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd)
        os.close(theirs)
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        rest = ""
        with suppress(OSError):  # a terminal whose other end is closed
            while chunk := os.read(self._ours, 65536):
                *lines, rest = (rest + chunk.decode()).replace("\r", "").split("\n")
                with self._changed:
                    self.lines += lines
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def until_line(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until so many lines match from their beginning; return the last."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.lines if (match := re.match(pattern, line))]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or not self._reader.is_alive(), PATIENCE)
            assert len(found()) >= count, "\n".join([f"waiting for {pattern}, these lines came:", *self.lines])
            return found()[-1]

    def type(self, text: str) -> None:
        """Type, as on a keyboard."""
        os.write(self._ours, text.encode())

    def interrupted(self) -> int:
        """Press Ctrl-C; return the status."""
        self.type("\x03")
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert not [line for line in self.lines if "Traceback" in line], "\n".join(self.lines)
        return status

    def close(self) -> None:
        """End it, if it still runs."""
        try:
            self.process.terminate()
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self._reader.join(PATIENCE)
            os.close(self._ours)


@contextmanager
def cluster_up(*arguments: str | Path, before: Sequence[str] = (), cwd: Path | None = None) -> Iterator[ClusterUp]:
    """Run the command with these arguments, by the command `before` if there is one; it is gone at the end."""
    up = ClusterUp([*before, *UP, *arguments], cwd)
    try:
        yield up
    finally:
        up.close()
