"""One connection to a corosync daemon: its own handle for queries and rings, and the handles of its groups."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import SplitResult

import anyio

from aiocpg._events import Address, DaemonIdentity, RingChange
from aiocpg._loop import LoopPort
from aiocpg._threads import BlockingCall, NoThreadError, start_thread
from aiocpg.engine._base import QuorumListener, RingListener
from aiocpg.engine._claims import Claim
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._diagnose import unavailable, wrong_daemon
from aiocpg.engine.corosync._gate import GaveUp
from aiocpg.engine.corosync._handle import LoopHandle
from aiocpg.engine.corosync._listing import list_groups
from aiocpg.engine.corosync._membership import CorosyncMembership, end_unseen, join_on_thread
from aiocpg.engine.corosync._quorum import NO_PROVIDER, QuorumSource, discard, open_on_thread
from aiocpg.engine.corosync._raw import BUSY_CODES, Opener, RawHandle, end_at_once
from aiocpg.engine.corosync._ring_probe import RingProbe
from aiocpg.errors import AlreadyJoinedError, ConnectionClosedError, CPGError, EngineUnavailableError, StatusError

T = TypeVar("T")

MOST_LISTINGS = 8
"""Listings of groups under way at once, those that hang for ever included: each may cost a thread."""


GOING_SECONDS = 0.5
"""How long the end of our own connection may come after a daemon that goes down has refused us another one."""

_REFUSALS_OF_A_GOING_DAEMON = frozenset({Status.LIBRARY, Status.NOT_EXIST})
"""Its socket, and the files of its shared memory, vanish in no particular order."""


class CorosyncEngine:
    """See :class:`aiocpg.engine._base.Engine`."""

    def __init__(self, port: LoopPort, daemon: Daemon, raw: RawHandle, nodeid: int, max_message_size: int) -> None:
        self.nodeid = nodeid
        self.max_message_size = max_message_size
        self.daemon: DaemonIdentity | None = raw.daemon
        self._port = port
        self._where = daemon
        self._handle = LoopHandle(raw, port)
        self._listener: RingListener | None = None
        self._opening: set[BlockingCall[Any]] = set()
        self._memberships: set[CorosyncMembership] = set()
        self._listings: set[Opener] = set()
        self._ring: RingChange | None = None
        self._probe: RingProbe | None = None
        self._quorum: QuorumSource | None = None
        self._is_closed = False
        self._lost = anyio.Event()

    def listen(self, listener: RingListener) -> None:
        self._listener = listener
        if self._ring is not None:
            listener.on_ring(self._ring)
        self._handle.listen(self)

    def check_drain(self) -> None:
        """Find out at once whether this thread can dispatch. Raises UsageError where it cannot."""
        self.on_readable()
        if self._handle.lost is not None:
            self.abandon()
            self._handle.raise_lost()

    def on_readable(self) -> None:
        """Drain the connection's own handle, or its rings would pile up in the daemon."""
        for record in self._handle.drain():
            if isinstance(record, RingChange):
                self._report_ring(record)

    def on_writable(self) -> None:
        """Nothing is ever sent on the connection's own handle."""

    def on_lost(self, error: CPGError) -> None:
        """The daemon is gone: nobody shall wait for it."""
        self._lost.set()
        self._end_calls(error)
        self._end_quorum()
        if self._listener is not None:
            self._listener.on_lost(error)
        self._handle.abandon()

    async def join(self, name: bytes) -> CorosyncMembership:
        self._handle.raise_lost()
        me = Address(self.nodeid, os.getpid())
        claim = Claim(self._where.key, name)
        opener = Opener(self._where)
        try:
            raw = await self._on_thread(
                lambda: join_on_thread(opener, name),
                "join",
                abandon=opener.call_off,
                discard=lambda raw: end_unseen(raw, me),
            )
        except StatusError as error:
            claim.release()
            if error.code == Status.EXIST:
                raise AlreadyJoinedError(name) from error
            raise await self._refused(error) from error
        except BaseException:
            claim.release()
            raise
        handle = LoopHandle(raw, self._port)
        membership = CorosyncMembership(name, handle, me, claim, self._memberships.discard)
        self._memberships.add(membership)
        return membership

    async def members(self, name: bytes) -> tuple[Address, ...]:
        return await self._handle.request(lambda handle: binding.membership_get(handle, name), "members")

    async def ping(self) -> None:
        # "Try again" is an answer, too: a daemon that forms a ring is alive.
        with suppress(StatusError):
            await self._handle.request(binding.local_get, "ping", frozenset())

    async def groups(self) -> Mapping[bytes, tuple[Address, ...]]:
        self._handle.raise_lost()
        if len(self._listings) >= MOST_LISTINGS:
            raise EngineUnavailableError(
                f"{len(self._listings)} listings of groups are under way or hang in libcpg",
                "one that met the daemon's death never ends (cpg_iteration_next); only a new process is rid of it",
            )
        opener = Opener(self._where)
        self._listings.add(opener)
        try:
            return await self._on_thread(lambda: self._list(opener), "groups", abandon=opener.call_off)
        except NoThreadError:
            self._listings.discard(opener)
            raise
        except StatusError as error:
            raise await self._refused(error) from error

    async def _refused(self, error: StatusError) -> CPGError:
        """What it means that the daemon we are connected to gives us no further handle: perhaps it is just going."""
        if error.code in _REFUSALS_OF_A_GOING_DAEMON:
            with anyio.move_on_after(GOING_SECONDS):
                await self._lost.wait()
        lost = self._handle.lost
        return unavailable(error) if lost is None else lost.fresh()

    def _list(self, opener: Opener) -> Mapping[bytes, tuple[Address, ...]]:
        try:
            return list_groups(opener)
        finally:
            self._listings.discard(opener)

    async def _on_thread(
        self,
        job: Callable[[], T],
        name: str,
        *,
        abandon: Callable[[], object],
        discard: Callable[[T], object] = lambda result: None,
    ) -> T:
        call = BlockingCall(self._port, job, name, abandon=abandon, discard=discard)
        self._opening.add(call)
        try:
            return await call.wait()
        except GaveUp:  # only after the loss or the close that called it back, which came first
            self._handle.raise_lost()
            raise ConnectionClosedError from None
        finally:
            self._opening.discard(call)

    def ask_ring(self) -> None:
        if self._ring is None and self._probe is None:
            self._probe = RingProbe(self._port, self._where, self._found_ring)

    def _found_ring(self, change: RingChange | None) -> None:
        self._probe = None
        # Rings that came meanwhile are newer.
        if change is not None and self._ring is None:
            self._report_ring(change)

    def _report_ring(self, change: RingChange) -> None:
        if change != self._ring:
            self._ring = change
            if self._listener is not None:
                self._listener.on_ring(change)

    async def watch_quorum(self, listener: QuorumListener) -> None:
        self._handle.raise_lost()
        opener = Opener(self._where)
        job = partial(open_on_thread, opener, self.daemon)
        try:
            raw = await self._on_thread(job, "quorum", abandon=opener.give_up, discard=discard)
        except StatusError as error:
            raise await self._refused(error) from error
        if self._is_closed or self._handle.lost is not None:  # while the answer was on its way
            start_thread(lambda: discard(raw), "finalize")
            self._handle.raise_lost()
            raise ConnectionClosedError
        self._end_quorum()
        if raw is None:
            listener.on_quorum(NO_PROVIDER)
        else:
            self._quorum = QuorumSource(self._port, raw, listener)

    def _end_quorum(self) -> None:
        if self._quorum is not None:
            self._quorum.abandon()

    async def aclose(self) -> None:
        self._is_closed = True
        self._end_quorum()
        for membership in list(self._memberships):
            membership.abandon()
        self._end_calls(ConnectionClosedError())
        await self._handle.aclose()

    def abandon(self) -> None:
        self._is_closed = True
        self._end_quorum()
        for membership in list(self._memberships):
            membership.abandon()
        self._end_calls(ConnectionClosedError())
        self._handle.abandon()

    def _end_calls(self, error: CPGError) -> None:
        if self._probe is not None:
            self._probe.give_up()
        for call in list(self._opening):
            call.fail(error.fresh())


async def open_url(
    _parts: SplitResult, port: LoopPort, *, daemon_uid: int | None, enter: Callable[[], object] | None
) -> CorosyncEngine:
    """Connect to the daemon of this host, or where ``enter`` leads. Raises as :func:`open_engine`."""
    return await open_engine(port, Daemon(enter), daemon_uid)


async def open_engine(port: LoopPort, daemon: Daemon, daemon_uid: int | None) -> CorosyncEngine:
    """
    Connect to a daemon.

    A daemon that answers "not yet" is asked again, until the caller cancels. Cancelling leaves nothing behind but,
    where the daemon does not answer at all, one thread that waits for it.

    Raises:
        EngineUnavailableError: With the reason and the cure.
    """
    binding.load()
    opener = Opener(daemon)
    call = BlockingCall(port, lambda: _open(opener, daemon_uid), "connect", abandon=opener.give_up, discard=_discard)
    try:
        raw, nodeid, max_message_size = await call.wait()
    except StatusError as error:
        raise unavailable(error) from error
    engine = CorosyncEngine(port, daemon, raw, nodeid, max_message_size)
    engine.check_drain()
    return engine


def _open(opener: Opener, daemon_uid: int | None) -> tuple[RawHandle, int, int]:
    raw = opener.retry(opener.open, BUSY_CODES)
    try:
        if daemon_uid is not None and raw.daemon.uid != daemon_uid:
            raise wrong_daemon(raw.daemon.uid, daemon_uid)
        nodeid = opener.retry(lambda: raw.request(binding.local_get), BUSY_CODES)
        return raw, nodeid, binding.max_atomic_msgsize_get(raw.handle)
    except BaseException:
        end_at_once(raw)
        raise


def _discard(opened: tuple[RawHandle, int, int]) -> None:
    end_at_once(opened[0])
