"""
Who may call ``cpg_initialize``, and when.

libcpg claims a handle slot without a lock (libqb's hdb), so two threads must not begin at once; yet the call hangs
for ever when a daemon is stopped, long after its slot was claimed. So the door stays shut for a second at the most. A
daemon that keeps one caller waiting gets no second one: later ones wait at the gate, where they can be called back.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

CLAIM_SECONDS = 1.0
"""How long a call may keep others from beginning. Claiming a slot takes microseconds."""

_LOOK_SECONDS = 0.1


class GaveUp(Exception):
    """The caller at the gate was called back."""


class InitializeGate:
    """The door to ``cpg_initialize`` of this process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._claiming_until = 0.0
        self._claiming: object = None
        self._inside: set[Hashable] = set()

    @contextmanager
    def passage(self, daemon: Hashable, has_given_up: Callable[[], bool]) -> Iterator[None]:
        """
        Hold the right to initialize at this daemon.

        Raises:
            GaveUp: ``has_given_up`` became true first.
        """
        token = self._enter(daemon, has_given_up)
        try:
            yield
        finally:
            self._leave(daemon, token)

    def _enter(self, daemon: Hashable, has_given_up: Callable[[], bool]) -> object:
        token = object()
        with self._changed:
            while daemon in self._inside or time.monotonic() < self._claiming_until:
                if has_given_up():
                    raise GaveUp
                self._changed.wait(_LOOK_SECONDS)
            if has_given_up():
                raise GaveUp
            self._inside.add(daemon)
            self._claiming = token
            self._claiming_until = time.monotonic() + CLAIM_SECONDS
        return token

    def _leave(self, daemon: Hashable, token: object) -> None:
        with self._changed:
            self._inside.discard(daemon)
            if self._claiming is token:
                self._claiming_until = 0.0
            self._changed.notify_all()


gate = InitializeGate()
"""The one of this process."""


def _new_gate() -> None:
    # A thread of the parent may have been inside; in the child it does not exist.
    gate.__init__()  # type: ignore[misc] # everything that imported the name must see the new state


os.register_at_fork(after_in_child=_new_gate)
