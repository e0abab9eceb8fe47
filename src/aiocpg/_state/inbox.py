"""
What one reader has not read yet: a bounded queue that says so when it was too small.

Past its budget an inbox keeps what it holds, counts what it can no longer take, and tells its reader so once,
after what it held. Then it starts over with the state in force, so that the reader knows where it stands.

A gap is an event where all events are handed out. A reader of some kinds would not see it, so it gets an error instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import takewhile
from operator import countOf, itemgetter
from typing import Any, Generic, Protocol, TypeVar

from aiocpg._events import Disconnected, Message
from aiocpg.errors import ConnectionLostError, CPGError, SlowConsumerError

EVENT_OVERHEAD = 256
"""Bytes that an event is counted as besides its payload: about what the objects take."""

MAX_BUFFERED_BYTES = 64 * 1024 * 1024
"""The budget of a reader unless another is asked for, in bytes as :func:`cost` counts them."""

_data: Any = itemgetter(Message._fields.index("data"))

T = TypeVar("T")


def checked_budget(max_buffered_bytes: int) -> int:
    """
    The budget, if it is one.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is negative.
    """
    if not isinstance(max_buffered_bytes, int):
        raise TypeError(f"max_buffered_bytes is a whole number of bytes, not {max_buffered_bytes!r}")
    if max_buffered_bytes < 0:
        raise ValueError(f"max_buffered_bytes is a number of bytes, 0 or more, not {max_buffered_bytes}")
    return max_buffered_bytes


def cost(event: object) -> int:
    """Bytes that an event counts for in a budget: those of its payload, if it has one, and some."""
    if type(event) is Message:
        return len(event.data) + EVENT_OVERHEAD
    return len(getattr(event, "data", b"")) + EVENT_OVERHEAD


def cost_of(events: Sequence[object]) -> int:
    """Bytes that these count for in all."""
    if countOf(map(type, events), Message) == len(events):  # nearly always, and in a tenth of the time
        return sum(map(len, map(_data, events))) + EVENT_OVERHEAD * len(events)
    return sum(map(cost, events))


class Flag(Protocol):
    """Something that wakes a waiting reader: :class:`anyio.Event` is one."""

    def set(self) -> object:
        """Wake it."""


class Inbox(Generic[T]):
    """
    A bounded queue of events with one reader.

    Args:
        limit: The budget in bytes. One event larger than it passes alone; 0 takes nothing.
        in_force: Gives the events that describe the present state, for starting over after a loss.
        first: The events it starts with, whatever they cost.
        lost: Events that were lost before it started; the reader is told first.
        lost_limit: The budget that these were lost for.
        raises_gaps: Whether :class:`Disconnected` is raised instead of handed out.
        on_loss: Called with each number of events that are lost here, and whether they are the first since the reader
            was last told.

    Attributes:
        events: What there is to take, at first hand for who has to be quick: whether there is something.
        arrived: Set whenever there is something new to take; the reader that waits puts it here.
    """

    def __init__(
        self,
        limit: int,
        in_force: Callable[[], Sequence[T]],
        *,
        first: Sequence[T] = (),
        lost: int = 0,
        lost_limit: int = 0,
        raises_gaps: bool = False,
        on_loss: Callable[[int, bool], object] | None = None,
    ) -> None:
        self._limit = limit
        self._on_loss = on_loss
        self._in_force = in_force
        self.events: deque[T] = deque(first)
        self._bytes = cost_of(first)
        self._lost = lost
        self._lost_limit = lost_limit if lost else limit
        self._raises_gaps = raises_gaps
        self._gaps = _count_gaps(first) if raises_gaps else 0
        self._end: CPGError | None = None
        self._ended = False
        self.arrived: Flag | None = None

    @property
    def has_something(self) -> bool:
        """Whether :meth:`take` would answer, be it with an event, an error or the end."""
        return bool(self.events) or self._lost > 0 or self._ended

    @property
    def size(self) -> int:
        """Bytes that what is there to take counts for in the budget."""
        return self._bytes

    @property
    def is_ended(self) -> bool:
        """Whether nothing more is taken."""
        return self._ended

    def put(self, events: Sequence[T], size: int) -> None:
        """Add events, ``size`` bytes by :func:`cost` in all."""
        if self._ended or not events:
            return
        if not self._lost and self._bytes + size <= self._limit:
            self.events.extend(events)
            self._bytes += size
        else:
            self._squeeze(events)
        if self.arrived is not None:
            self.arrived.set()

    def put_gap(self, gap: T) -> None:
        """Add a gap, or what a reader begins with. It takes no room, but where events were lost it is one of these."""
        if self._ended:
            return
        if self._lost:
            self._lose(1)
        else:
            self.events.append(gap)
            self._bytes += cost(gap)
            self._gaps += self._raises_gaps
        self._wake_reader()

    def _squeeze(self, events: Sequence[T]) -> None:
        lost = 0
        for event in events:
            size = cost(event)
            fits = self._bytes + size <= self._limit or (self._limit > 0 and not self.events)
            if fits and not self._lost and not lost:
                self.events.append(event)
                self._bytes += size
            else:
                lost += 1
        if lost:
            self._lose(lost)

    def _lose(self, number: int) -> None:
        is_first = not self._lost
        self._lost += number
        if self._on_loss is not None:
            self._on_loss(number, is_first)

    def end(self, error: CPGError | None = None) -> None:
        """Nothing more comes: after what is there the reader gets this error, or the end."""
        if not self._ended:
            self._ended = True
            self._end = error
            self._wake_reader()

    def clear(self) -> None:
        """The reader closed: what is there goes, and nothing more is taken."""
        self.events.clear()
        self._bytes = self._lost = self._gaps = 0
        self._ended = True
        self._end = None
        self._wake_reader()

    def take(self) -> T:
        """
        The next event.

        Raises:
            SlowConsumerError: Events were lost here; said once.
            ConnectionLostError: There is a gap here; said once. More comes behind it.
            StopAsyncIteration: The end.
            CPGError: What :meth:`end` was given, each time anew.
        """
        if self.events:
            event = self.events.popleft()
            if type(event) is Message:
                self._bytes -= len(_data(event)) + EVENT_OVERHEAD
                return event
            self._bytes -= cost(event)
            if self._gaps and isinstance(event, Disconnected):
                self._gaps -= 1
                raise ConnectionLostError(event.reason)
            return event
        self._raise_loss()
        if self._end is not None:
            raise self._end.fresh()
        raise StopAsyncIteration

    def take_all(self) -> list[T]:
        """All events that are there; ``[]`` at the end. Raises as :meth:`take` does, but for the end."""
        if self._gaps:
            return [self.take(), *self._up_to_gap()]
        if self.events:
            events = list(self.events)
            self.events.clear()
            self._bytes = 0
            return events
        self._raise_loss()
        if self._end is not None:
            raise self._end.fresh()
        return []

    def _up_to_gap(self) -> list[T]:
        return [self.take() for _ in takewhile(lambda event: not isinstance(event, Disconnected), list(self.events))]

    def _raise_loss(self) -> None:
        if self._lost:
            lost, self._lost = self._lost, 0
            if not self._ended:
                first = self._in_force()
                self.events.extend(first)
                self._bytes = cost_of(first)
            over, self._lost_limit = self._lost_limit, self._limit
            raise SlowConsumerError(lost, over)

    def _wake_reader(self) -> None:
        if self.arrived is not None:
            self.arrived.set()


def _count_gaps(events: Iterable[object]) -> int:
    return sum(isinstance(event, Disconnected) for event in events)
