"""Which corosync daemon is meant, and how a thread comes to where it can be reached."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Daemon:
    """
    A corosync daemon.

    libcpg reaches the daemon of the network and mount namespace that the calling thread is in; afterwards the handle
    works from anywhere. ``enter`` takes a fresh thread there; None means the daemon of this process's own namespaces.
    """

    enter: Callable[[], object] | None = None

    @property
    def key(self) -> Hashable:
        """Equal for the same daemon."""
        return self.enter

    def reach(self) -> None:
        """Take this thread, which is then good for nothing else, to the daemon."""
        if self.enter is not None:
            self.enter()
