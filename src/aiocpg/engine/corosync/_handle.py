"""One libcpg handle in the event loop: watched, drained, sent on, asked without blocking, and lost once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import anyio

from aiocpg._loop import LoopPort, Watch
from aiocpg._state.history import Record
from aiocpg._threads import BlockingCall, NoThreadError, nothing, start_thread
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._diagnose import lost_by
from aiocpg.engine.corosync._raw import BUSY_CODES, RawHandle, end_at_once, retry
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError, StatusError

T = TypeVar("T")


FINALIZE_SECONDS = 0.5
"""How long closing waits for the daemon's word. It takes milliseconds; a daemon that is stopped or dies gives none."""

log = logging.getLogger("aiocpg")

_OK = int(Status.OK)
"""A number of its own, since it is asked for with each message."""

_CONGESTED = frozenset({Status.TRY_AGAIN, Status.NOT_WRITABLE})


class _Arenas(threading.local):
    """One arena per thread: what it holds is read before the next drain, so all handles of a loop share it."""

    def __init__(self) -> None:
        self.arena = binding.Arena()


_arenas = _Arenas()


class HandleOwner(Protocol):
    """Who is told what happens to a handle."""

    def on_readable(self) -> None:
        """There may be something to drain."""

    def on_writable(self) -> None:
        """The descriptor can be written again."""

    def on_lost(self, error: CPGError) -> None:
        """The handle is dead."""


class LoopHandle:
    """
    A handle that belongs to a loop.

    Attributes:
        lost: Why it is dead, once it is.
        is_held: Whether nothing is sent now, because a call on a thread sends.
    """

    def __init__(self, raw: RawHandle, port: LoopPort) -> None:
        self._raw = raw
        self._port = port
        self._guard = binding.Guard(raw.handle, raw.fd)
        self._send = self._guard.send
        self._calls: set[BlockingCall[Any]] = set()
        self._owner: HandleOwner | None = None
        self._watch: Watch | None = None
        self._closed = False
        self.lost: CPGError | None = None
        self.is_held = False

    def listen(self, owner: HandleOwner) -> None:
        """Register the descriptor with the loop."""
        self._owner = owner
        self._watch = self._port.watch(self._raw.fd, owner.on_readable, owner.on_writable, self._crashed)

    def drain(self) -> Sequence[Record]:
        """Dispatch up to the budget, without blocking. A loss it meets is told to the owner in a later turn."""
        if self.lost is not None or self._closed:
            return ()
        status, records = _arenas.arena.drain(self._raw.handle, MAX_EVENTS_PER_DRAIN, MAX_BYTES_PER_DRAIN)
        if status not in (Status.OK, Status.TRY_AGAIN):
            self.lose(lost_by(status))
        return records

    def mcast(self, data: bytes) -> bool:
        """Send, or answer False: congested, or held."""
        if self.is_held:
            return False
        if self.lost is not None:
            raise self.lost.fresh()
        status = self._send(data, len(data))
        return status == _OK or self._was_taken(status)

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        """Send in order; answers how many were taken."""
        if self.is_held:
            return 0
        self.raise_lost()
        taken, status = self._guard.mcast_many(messages)
        self._was_taken(status)
        return taken

    def _was_taken(self, status: int) -> bool:
        if status == Status.OK:
            return True
        if status not in _CONGESTED:
            self.lose(lost_by(status))
            self.raise_lost()
        if status == Status.NOT_WRITABLE and self._watch is not None:
            self._watch.want_writable()
        return False

    def raise_lost(self) -> None:
        """Raise why the handle is dead, if it is."""
        if self.lost is not None:
            raise self.lost.fresh()

    def raise_if_hung_up(self) -> None:
        """Look at the descriptor: the daemon's death shows there, whatever libcpg's calls answer."""
        if not self._closed and self._raw.is_hung_up:
            self.lose(lost_by(Status.HUNG_UP))
        self.raise_lost()

    async def request(
        self,
        call: Callable[[binding.Handle], T],
        name: str,
        retried: frozenset[int] = BUSY_CODES,
        *,
        ended: Callable[[], object] = nothing,
    ) -> T:
        """
        Make a call that waits for a reply, on a thread, again and again while it answers one of ``retried``.

        Cancelling leaves the thread to wait for its reply; it does not try again. ``ended`` is called on the thread
        when it is done with the handle, whoever still waits.

        Raises:
            StatusError: The call said no.
            ConnectionLostError: The handle died meanwhile.
        """
        self.raise_lost()
        given_up = threading.Event()

        def job() -> T:
            try:
                return retry(lambda: self._raw.request(call), retried, given_up)
            finally:
                ended()

        waiting = BlockingCall(self._port, job, name, abandon=given_up.set)
        self._calls.add(waiting)
        try:
            return await waiting.wait()
        except NoThreadError:
            ended()
            raise
        except StatusError as error:
            if error.code in (Status.LIBRARY, Status.BAD_HANDLE):
                self.lose(lost_by(error.code))
                self.raise_lost()
            raise
        finally:
            self._calls.discard(waiting)

    def lose(self, error: CPGError) -> None:
        """The handle is dead: out of the loop at once, since a hung-up descriptor stays readable for ever."""
        if self.lost is None and not self._closed:
            self.lost = error
            self._leave_loop()
            for call in list(self._calls):
                call.fail(error.fresh())
            if self._owner is not None:
                self._port.call_later(0, lambda: self._tell_owner(error), self._crashed)

    def _tell_owner(self, error: CPGError) -> None:
        if self._owner is not None and not self._closed:
            self._owner.on_lost(error)

    def _crashed(self, error: BaseException) -> None:
        lost = ConnectionLostError(f"a fault in aiocpg itself, please report it: {error!r}")
        lost.__cause__ = error
        self.lose(lost)

    async def aclose(self, *, hard: bool = False) -> None:
        """
        Out of the loop, then finalize on a thread and wait a moment for it, unless ``hard``. Cancelling makes it hard.

        A handle is closed this way when nothing is owed any more: what was sent has come back.
        """
        if self._closed:
            return
        if hard or self.lost is not None or self._calls:
            self.abandon()
            return
        self._close()
        with anyio.move_on_after(FINALIZE_SECONDS):
            await BlockingCall(self._port, self._raw.finalize, "finalize", abandon=self._raw.shutdown).wait()

    def abandon(self, end: Callable[[RawHandle], object] = end_at_once) -> None:
        """Out of the loop, and ended by a thread that nobody waits for."""
        if not self._closed:
            self._close()
            try:
                start_thread(lambda: end(self._raw), "finalize")
            except NoThreadError as error:
                # The daemon sees the hang-up; libcpg's memory for the handle stays until the process ends.
                self._raw.shutdown()
                log.warning("a handle could not be finalized: %s", error)

    def _close(self) -> None:
        self._closed = True
        self._leave_loop()
        for call in list(self._calls):
            call.fail(ConnectionClosedError())

    def _leave_loop(self) -> None:
        if self._watch is not None:
            self._watch.close()
