"""One command on several nodes at once, as one program: one output, one end, one status."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import IO, TYPE_CHECKING

from ._signals import Signals, Told

if TYPE_CHECKING:
    from aiocpg.testing import ClusterNode

_GRACE = 5.0
"""Seconds that commands have between a signal and their being killed."""

_output = threading.Lock()


def run(nodes: Iterable[ClusterNode], command: Sequence[str], signals: Signals) -> int:
    """
    Run a command on each node until all have ended; a signal that ends us is passed on to them first.

    Each runs in a process group of its own, without input, with the node's number in ``AIOCPG_NODE``, and a
    ``AIOCPG_URL`` that leads to that node. Their lines go to our stdout and stderr behind that number.

    Returns:
        The worst of their statuses, as a shell has it: 128 and the signal's number where one ended a command.

    Raises:
        OSError: The command cannot be run.
    """
    copies: list[Copy] = []
    try:
        with signals.held():
            for node in nodes:
                copies.append(Copy(node, command))
        _wait(copies, None)
    except Told as told:
        for copy in copies:
            copy.send(told.signum)
        _wait(copies, _GRACE)
    finally:
        for copy in copies:
            copy.end()
    return max(copy.status for copy in copies)


class Copy:
    """The command on one node, and the threads that hand on what it prints."""

    def __init__(self, node: ClusterNode, command: Sequence[str]) -> None:
        environment = os.environ | {"AIOCPG_NODE": str(node.nodeid), "AIOCPG_URL": "corosync://"}
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = node.spawn(command, env=environment, process_group=0, **pipes)
        self.pidfd = os.pidfd_open(self._process.pid)
        ends = ((self._process.stdout, sys.stdout.fileno()), (self._process.stderr, sys.stderr.fileno()))
        prefix = b"%d: " % node.nodeid
        self._readers = [threading.Thread(target=_hand_on, args=(*end, prefix), daemon=True) for end in ends]
        for reader in self._readers:
            reader.start()

    @property
    def status(self) -> int:
        """How it ended, as a shell has it."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def send(self, signum: int) -> None:
        """Send a signal to it and to what it has started, unless it has ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signum)

    def end(self) -> None:
        """End it if it still runs, and wait until all it has printed is handed on."""
        self.send(signal.SIGKILL)
        self._process.wait()
        os.close(self.pidfd)
        for reader in self._readers:
            # What it leaves running may keep the pipe open; that ends with the cluster.
            reader.join(_GRACE)


def _wait(copies: Iterable[Copy], timeout: float | None) -> None:
    """Wait until all have ended, or so many seconds have gone without an end of any."""
    running = {copy.pidfd for copy in copies}
    poll = select.poll()
    for pidfd in running:
        poll.register(pidfd, select.POLLIN)
    while running:
        ended = [pidfd for pidfd, _ in poll.poll(None if timeout is None else timeout * 1000)]
        if not ended:
            return
        for pidfd in ended:
            poll.unregister(pidfd)
            running.discard(pidfd)


def _hand_on(pipe: IO[bytes], output: int, prefix: bytes) -> None:
    """Write a pipe's lines behind the prefix. When nobody reads ours, nobody reads the pipe: SIGPIPE tells them."""
    with pipe:
        for line in pipe:
            try:
                with _output:
                    _write(output, prefix + line.removesuffix(b"\n") + b"\n")
            except OSError:
                return


def _write(output: int, data: bytes) -> None:
    while data:
        data = data[os.write(output, data) :]
