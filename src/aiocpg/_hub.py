"""
One ordered stream, many readers: who gets what, and where a reader begins.

Until somebody has taken an event a reader begins at the start of the stream, and what arrives is kept for it within a
budget. Afterwards it begins with the next event, preceded by the state in force. Readers are held weakly: one that
nobody holds stops collecting. A gap in the stream reaches every reader, whatever kinds it wants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar
from weakref import ref

from aiocpg._events import Disconnected
from aiocpg._opening import caller
from aiocpg._state.inbox import Inbox, cost, cost_of
from aiocpg._stream import Stream
from aiocpg.errors import CPGError

T = TypeVar("T")

Kinds: TypeAlias = tuple[type[Any], ...]
"""The classes of events that a reader wants; empty for all."""


class Reader(NamedTuple):
    """What is known of a reader besides its inbox."""

    kinds: Kinds
    name: str
    opened_at: str


class Hub(Generic[T]):
    """
    Hands every event to each reader that wants its kind.

    Args:
        backlog_limit: Bytes kept for the first readers; 0 keeps nothing and tells them of a loss; None: every
            reader begins with the state in force.
        in_force: Gives the events, of all kinds, that describe the present state.
        usable: Raises where a reader must not be used: after a fork, in another loop.
        on_slow: Called when a reader begins to lose events because it is slow.

    Attributes:
        losses: Events that readers have not got because they were slow.
    """

    def __init__(
        self,
        backlog_limit: int | None,
        in_force: Callable[[], Sequence[T]],
        usable: Callable[[], None],
        on_slow: Callable[[], object] | None = None,
    ) -> None:
        self._in_force = in_force
        self._usable = usable
        # What a WeakKeyDictionary is, without the care that makes going through one cost more than a message does.
        self._readers: dict[ref[Inbox[T]], Reader] = {}
        self._backlog: _Backlog[T] | None = None if backlog_limit is None else _Backlog(backlog_limit)
        self._on_slow = on_slow
        self._ended = False
        self._error: CPGError | None = None
        self.losses = 0

    def open(self, kinds: Kinds, limit: int, name: str) -> Stream[Any]:
        """A new reader of these kinds, collecting from now on."""
        inbox = self._inbox(kinds, limit)
        self._readers[ref(inbox, self._forget)] = Reader(kinds, name, caller())
        if self._ended:
            inbox.end(self._error)
        return Stream(inbox, name, self._usable, self._somebody_took)

    def publish(self, events: Sequence[T]) -> None:
        """Hand events to all who want them."""
        if not events:
            return
        if self._backlog is not None:
            self._backlog.keep(events)
        chosen: dict[Kinds, tuple[Sequence[T], int]] = {}
        for weakly, (kinds, _, _) in list(self._readers.items()):
            if kinds not in chosen:
                wanted = _of(kinds, events)
                chosen[kinds] = wanted, cost_of(wanted)
            inbox = weakly()
            if inbox is not None:
                inbox.put(*chosen[kinds])

    def publish_one(self, event: T) -> None:
        """Hand one event to all who want it: :meth:`publish` in fewer steps."""
        if self._backlog is not None:
            self._backlog.keep([event])
        kind, size = type(event), cost(event)
        for weakly, (kinds, _, _) in list(self._readers.items()):
            inbox = weakly() if not kinds or kind in kinds else None
            if inbox is not None:
                inbox.put((event,), size)

    def publish_gap(self, gap: T) -> None:
        """Hand a gap to all, whatever they want."""
        if self._backlog is not None:
            self._backlog.keep([gap])
        for inbox, _ in self._held:
            inbox.put_gap(gap)

    def end(self, error: CPGError | None = None) -> None:
        """Nothing more comes: readers get what they have, then this error or the end."""
        if not self._ended:
            self._ended = True
            self._error = error
            for inbox, _ in self._held:
                inbox.end(error)

    @property
    def buffered(self) -> tuple[int, int]:
        """Events that were not read, for each reader, and the bytes they count for; before the first, what is kept."""
        inboxes = [inbox for inbox, _ in self._held]
        backlog = self._backlog  # looked at once: this is asked for in other threads, too
        if not inboxes and backlog is not None:
            kept = backlog.events
            return len(kept), backlog.size if kept else 0
        return sum(len(inbox.events) for inbox in inboxes), sum(inbox.size for inbox in inboxes)

    @property
    def readers(self) -> list[Reader]:
        """The readers that somebody holds and has not closed."""
        return [reader for inbox, reader in self._held if not inbox.is_ended]

    @property
    def _held(self) -> list[tuple[Inbox[T], Reader]]:
        found = [(weakly(), reader) for weakly, reader in list(self._readers.items())]
        return [(inbox, reader) for inbox, reader in found if inbox is not None]

    def _forget(self, weakly: ref[Inbox[T]]) -> None:
        self._readers.pop(weakly, None)

    def _inbox(self, kinds: Kinds, limit: int) -> Inbox[T]:
        def in_force() -> Sequence[T]:
            return _of(kinds, self._in_force())

        typed = bool(kinds)
        if self._backlog is None:
            first = () if self._ended else in_force()
            return Inbox(limit, in_force, first=first, raises_gaps=typed, on_loss=self._lost)
        concerning = (*kinds, Disconnected) if typed else ()
        lost = self._backlog.lost(concerning)
        kept = () if lost else _of(concerning, self._backlog.events)
        of_backlog = self._backlog.limit
        if lost:
            self._lost(lost, of_backlog > 0)  # where nothing was to be kept, nobody is slow
        return Inbox(
            limit, in_force, first=kept, lost=lost, lost_limit=of_backlog, raises_gaps=typed, on_loss=self._lost
        )

    def _lost(self, number: int, is_first: bool) -> None:
        self.losses += number
        if is_first and self._on_slow is not None:
            self._on_slow()

    def _somebody_took(self) -> None:
        self._backlog = None


class _Backlog(Generic[T]):
    """What has come before anybody read; past its budget it all goes, and is counted."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.events: list[T] = []
        self._counts: dict[type[Any], int] = {}

    def keep(self, events: Sequence[T]) -> None:
        self.size += cost_of(events)
        fits = self.size <= self.limit or (self.limit > 0 and len(self.events) + len(events) == 1)
        if fits and not self._counts:
            self.events.extend(events)
        else:
            for event in (*self.events, *events):
                self._counts[type(event)] = self._counts.get(type(event), 0) + 1
            self.events = []

    def lost(self, kinds: Kinds) -> int:
        return sum(count for kind, count in self._counts.items() if not kinds or kind in kinds)


def _of(kinds: Kinds, events: Sequence[T]) -> Sequence[T]:
    if not kinds:
        return events
    return [event for event in events if type(event) in kinds]
