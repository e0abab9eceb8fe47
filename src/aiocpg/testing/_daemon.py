"""A running daemon as a process: its pid, the signals to it, its end. What it says is read in `_log`."""

from __future__ import annotations

import os
import select
import signal
import weakref


class Daemon:
    """
    A process of the keeper's, held by a pidfd; the descriptor closes with the last reference to this object.

    Attributes:
        pid: Its process id, which no other process gets before the keeper was asked to reap it.
    """

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self._pidfd = pidfd
        weakref.finalize(self, os.close, pidfd)

    def send(self, signum: signal.Signals) -> None:
        """Send a signal; to a daemon that has just ended it does nothing."""
        signal.pidfd_send_signal(self._pidfd, signum)

    def has_ended(self, timeout: float = 0) -> bool:
        """Whether it has ended, or does so within `timeout` seconds."""
        poller = select.poll()
        poller.register(self._pidfd, select.POLLIN)
        return bool(poller.poll(timeout * 1000))

    def resident(self) -> int:
        """Bytes of memory it has resident."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def stands_still(self) -> bool:
        """Whether it is stopped, or gone."""
        with open(f"/proc/{self.pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] in {"T", "t", "Z", "X"}
