"""Whether our own frames come back. A daemon that drops one tells nobody, and only a later one shows the gap."""

from __future__ import annotations

MOST_PAUSE_SECONDS = 10.0
"""Pauses between two probes grow to this."""


class EchoWatch:
    """
    Watches the seqs of our own frames.

    Args:
        timeout: Seconds without one coming back, while some are out, after which another is to be sent.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._pause = timeout
        self._heard = 0
        self._since: float | None = None

    def is_due(self, said: int, heard: int, now: float) -> bool:
        """
        Whether a frame is to be sent for the only reason that those before it do not come back.

        Args:
            said: The seq of the newest frame that was sent.
            heard: The seq of the newest one that came back.
            now: The time.
        """
        if said == heard:
            self._since = None
        elif self._since is None or heard != self._heard:
            self._since, self._pause = now, self._timeout
        elif now >= self._since + self._pause:
            self._since, self._pause = now, min(2 * self._pause, MOST_PAUSE_SECONDS)
            return True
        self._heard = heard
        return False

    @property
    def deadline(self) -> float | None:
        """When to ask :meth:`is_due` at the latest; None where nothing is out."""
        return None if self._since is None else self._since + self._pause
