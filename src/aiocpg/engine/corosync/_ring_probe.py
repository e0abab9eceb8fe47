"""
Finding out the present ring.

libcpg has no call for it: a handle is told of rings to come, and of the present one only behind its own join
(exec/cpg.c takes the flag that asks for it from the join request). So a member comes into a group of its own, hears the
ring, and goes.
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress

from aiocpg._events import RingChange
from aiocpg._loop import LoopPort
from aiocpg._threads import start_thread
from aiocpg.engine._libcpg import binding
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._gate import GaveUp
from aiocpg.engine.corosync._handle import LoopHandle
from aiocpg.engine.corosync._raw import BUSY_CODES, Opener, RawHandle, end_at_once
from aiocpg.errors import CPGError

_SECONDS = 10.0

_probes = itertools.count(1)

log = logging.getLogger("aiocpg")


class RingProbe:
    """
    One attempt to find out the ring.

    Args:
        found: Called once, in the loop, with the ring, or with None where it could not be had.
    """

    def __init__(self, port: LoopPort, daemon: Daemon, found: Callable[[RingChange | None], object]) -> None:
        self._port = port
        self._found = found
        self._opener = Opener(daemon)
        self._handle: LoopHandle | None = None
        self._is_over = False
        start_thread(self._run, "ring")

    def give_up(self) -> None:
        """Stop; nothing is reported any more."""
        self._is_over = True
        self._opener.give_up()
        if self._handle is not None:
            self._handle.abandon()

    def on_readable(self) -> None:
        """See :class:`aiocpg.engine.corosync._handle.HandleOwner`."""
        assert self._handle is not None
        for record in self._handle.drain():
            if isinstance(record, RingChange):
                self._report(record)

    def on_writable(self) -> None:
        """Nothing is sent."""

    def on_lost(self, error: CPGError) -> None:
        """See :class:`aiocpg.engine.corosync._handle.HandleOwner`."""
        log.warning("the present ring could not be found out: %s", error)
        self._report(None)

    def _run(self) -> None:
        try:
            raw = self._join()
        except (CPGError, GaveUp, OSError) as error:
            failure = error
            self._in_loop(lambda: self._failed(failure))
        else:
            if not self._in_loop(lambda: self._listen(raw)):
                end_at_once(raw)

    def _join(self) -> RawHandle:
        deadline = time.monotonic() + _SECONDS
        raw = self._opener.retry(self._opener.open, BUSY_CODES, deadline)
        try:
            self._opener.retry(lambda: raw.request(_join_group_of_its_own), BUSY_CODES, deadline)
        except BaseException:
            end_at_once(raw)
            raise
        return raw

    def _in_loop(self, callback: Callable[[], object]) -> bool:
        with suppress(RuntimeError):  # the loop has ended, nobody reads
            self._port.call_from_thread(callback)
            return True
        return False

    def _listen(self, raw: RawHandle) -> None:
        self._handle = LoopHandle(raw, self._port)
        if self._is_over:
            self._handle.abandon()
        else:
            self._handle.listen(self)

    def _failed(self, error: BaseException) -> None:
        if not self._is_over:
            log.warning("the present ring could not be found out: %s", error)
            self._report(None)

    def _report(self, change: RingChange | None) -> None:
        if not self._is_over:
            self.give_up()
            self._found(change)


def _join_group_of_its_own(handle: binding.Handle) -> None:
    binding.join(handle, b"aiocpg.ring-probe.%d.%d" % (os.getpid(), next(_probes)))
