"""How a connection is, as one frozen value that a readiness probe can ask for."""

from __future__ import annotations

from dataclasses import dataclass

from aiocpg._events import RingChange


@dataclass(frozen=True, slots=True)
class Health:
    """
    A snapshot of a connection. It asks nobody and costs nothing; the next one may differ.

    ``is_ready`` sums it up. A service that must not act in a minority looks at :meth:`Connection.quorum` as well.
    """

    is_connected: bool
    """Whether there is a daemon at the other end; False while it is lost, and when the connection is over."""
    away_for: float
    """Seconds since the daemon was lost; 0 while connected."""
    stalled_for: float
    """
    Seconds that the daemon has left a question unanswered, once that is longer than ``stall_after``; 0 otherwise.

    Asked only while something is pending, unless ``connect`` was given ``stall_after``.
    """
    ring: RingChange | None
    """
    The newest ring reported: which nodes this one can talk to. None where none was, which with Corosync is so until
    the first group was joined or :meth:`Connection.rings` was called, and while the daemon is lost.
    """
    reconnects: int
    """How often the connection has come back."""

    @property
    def is_ready(self) -> bool:
        """Connected, and not stalled."""
        return self.is_connected and not self.stalled_for
