"""How a lost connection is come back to: how long to pause between tries, and when to give up. No clock, no waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reconnect:
    """
    The policy of ``connect(reconnect=...)``; ``True`` there means these defaults.

    Before each try there is a pause, at random between half a bound and the bound, so that the processes of a host do
    not all come at once when their daemon is back. The bound doubles with each try.

    Raises:
        ValueError: A number is out of its range.

    Example::

        async with aiocpg.connect(reconnect=aiocpg.Reconnect(give_up_after=300)) as cpg: ...
    """

    first_pause: float = 0.1
    """Bound of the first pause, in seconds, more than 0."""
    longest_pause: float = 5.0
    """Where the bound ends to grow, in seconds, at least :attr:`first_pause`."""
    give_up_after: float | None = None
    """Seconds without a daemon after which the connection, or a group that cannot be joined, ends; None: never."""

    def __post_init__(self) -> None:
        if not self.first_pause > 0:
            raise ValueError(f"first_pause is a number of seconds, more than 0, not {self.first_pause}")
        if not self.longest_pause >= self.first_pause:
            raise ValueError(f"longest_pause is {self.longest_pause} seconds, less than first_pause")
        if self.give_up_after is not None and not self.give_up_after >= 0:
            raise ValueError(f"give_up_after is a number of seconds, 0 or more, or None, not {self.give_up_after}")

    def pauses(self, random: Callable[[], float]) -> Iterator[float]:
        """The pauses before each try, without end; ``random`` gives numbers from 0 to 1."""
        bound = self.first_pause
        while True:
            yield bound * (1 + random()) / 2
            bound = min(2 * bound, self.longest_pause)


def policy_of(reconnect: bool | Reconnect | None) -> Reconnect | None:
    """
    The policy that ``connect`` was asked for, None for none.

    Raises:
        TypeError: It is none.
    """
    if isinstance(reconnect, Reconnect):
        return reconnect
    if reconnect is None or isinstance(reconnect, bool):
        return Reconnect() if reconnect else None
    raise TypeError(f"reconnect is True, False, None or an aiocpg.Reconnect, not {reconnect!r}")
