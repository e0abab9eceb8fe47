"""What the library needs of an event loop, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeAlias

Callback: TypeAlias = Callable[[], object]
Crashed: TypeAlias = Callable[[BaseException], object]


class Watch(ABC):
    """One descriptor in the loop: readable until closed, writable once each time it is asked for."""

    @abstractmethod
    def want_writable(self) -> None:
        """Call ``on_writable`` once, when the descriptor can be written."""

    @abstractmethod
    def close(self) -> None:
        """Take the descriptor out of the loop; call this before it is closed. Repeating does nothing."""


class Timer(ABC):
    """One call in the future."""

    @abstractmethod
    def cancel(self) -> None:
        """Do not call. Repeating does nothing."""


class Task(ABC):
    """Something that runs beside all else until it is done."""

    @abstractmethod
    def cancel(self) -> None:
        """End it where it waits, or before it begins. Repeating does nothing."""


class Signal(Protocol):
    """Something that one task waits for, again and again. An ``anyio.Event`` that costs a fifth of it."""

    def set(self) -> object:
        """Wake who waits now, if anybody does. Repeating does nothing."""

    def wait(self) -> Awaitable[object]:
        """Wait until :meth:`set` is called after this; for one task at a time."""


class LoopPort(ABC):
    """What the library needs of a running event loop. What is asked for while it ends may not happen any more."""

    @abstractmethod
    def is_here(self) -> bool:
        """Whether the caller runs in this very loop."""

    @property
    @abstractmethod
    def is_running(self) -> Callable[[], object]:
        """
        Answers something that is true while the loop runs.

        To a caller in the thread in which it ran, that is the same as :meth:`is_here`, and costs a fraction.
        """

    @abstractmethod
    def watch(self, fd: int, on_readable: Callback, on_writable: Callback, crashed: Crashed) -> Watch:
        """Call ``on_readable`` whenever the descriptor is readable (level-triggered), until the watch is closed."""

    @abstractmethod
    def call_soon(self, callback: Callback, crashed: Crashed) -> None:
        """Call once in the loop's next turn."""

    @abstractmethod
    def call_later(self, delay: float, callback: Callback, crashed: Crashed) -> Timer:
        """Call once after ``delay`` seconds."""

    @abstractmethod
    def spawn(self, run: Callable[[], Awaitable[None]], name: str, crashed: Crashed) -> Task:
        """Run a coroutine function beside all else. A cancellation that is not ours counts as a crash."""

    @abstractmethod
    def call_from_thread(self, callback: Callback) -> None:
        """Call soon in the loop; from any thread. Raises RuntimeError when the loop has ended."""

    @abstractmethod
    def signal(self) -> Signal:
        """A new signal."""

    @abstractmethod
    def time(self) -> float:
        """The loop's clock in seconds."""


def call_guarded(callback: Callback, crashed: Crashed) -> None:
    """Call it such that what it raises goes to its owner; the loop gets only what is no ``Exception``."""
    try:
        callback()
    except BaseException as error:
        crashed(error)
        if not isinstance(error, Exception):
            raise


def guarded(callback: Callback, crashed: Crashed) -> Callback:
    """The same, to be called later."""
    return partial(call_guarded, callback, crashed)
