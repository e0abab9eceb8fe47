"""``connect`` and what it returns: the object people hold. What it does is done in the session below it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType

import anyio

from aiocpg import engine as engines
from aiocpg._events import Address, DaemonIdentity, RingChange
from aiocpg._group import Group
from aiocpg._health import Health
from aiocpg._link import Return
from aiocpg._loop import current_port
from aiocpg._names import group_name
from aiocpg._opening import Opening, caller
from aiocpg._quorum_watch import QuorumWatch
from aiocpg._session import Session
from aiocpg._state.inbox import MAX_BUFFERED_BYTES, checked_budget
from aiocpg._state.reconnect import Reconnect, policy_of
from aiocpg._statistics import ConnectionStatistics
from aiocpg._stream import Stream
from aiocpg.engine._base import Engine
from aiocpg.errors import EngineUnavailableError


class Connection:
    """
    A connection to the world that a URL names. Comes from :func:`connect`.

    It belongs to the event loop it was opened in; use from another thread, another loop or after a fork is a
    :class:`UsageError`. Closing it leaves its groups.
    """

    def __init__(self, session: Session, close_timeout: float) -> None:
        self._session = session
        self._link = session.link
        self._max_message_size = session.link.engine.max_message_size
        self._close_timeout = close_timeout

    @property
    def nodeid(self) -> int:
        """The number of the node we are on; while away, of the node we were on."""
        return self._link.engine.nodeid

    @property
    def max_message_size(self) -> int:
        """
        Bytes of payload that one message may have (``cpg_max_atomic_msgsize_get``): 1 047 552 with stock Corosync, and
        with the embedded engines.
        """
        return self._max_message_size

    @property
    def daemon(self) -> DaemonIdentity | None:
        """
        The process behind the descriptor, as the kernel tells (``SO_PEERCRED``): corosync, or the broker of
        ``local://``; None where there is none.
        """
        return None if self._link.is_away else self._link.engine.daemon

    @property
    def health(self) -> Health:
        """How the connection is now, for a readiness probe. Asks nobody; may be looked at as often as one likes."""
        return self._session.health

    @property
    def lags(self) -> int:
        """How often the event loop was seen to stand still for more than a second, unable to dispatch."""
        return self._session.lag.lags

    def statistics(self) -> ConnectionStatistics:
        """
        What the connection and its groups have counted so far.

        It asks nobody and waits for nothing, and may be called from any thread, as exporters do. A group counts from
        its join to its end, and is among those that have ended after that; :meth:`Group.statistics` tells of its own
        membership, even then.

        Raises:
            ForkedError: This process is a fork of the one that opened it: the numbers are the other's.
        """
        return self._session.statistics

    def join(self, name: bytes | str, *, max_buffered_bytes: int = MAX_BUFFERED_BYTES) -> Opening[Group]:
        """
        Become a member of a group: ``await`` it, or enter it with ``async with``, which leaves at the end.

        Returns when the group has seen us come; that change is the first event. Messages ordered before it never
        come. While the daemon still knows an earlier membership of this process it is tried for 10 s; otherwise the
        call waits for the cluster without bound, use a timeout.

        Cancelling gives the membership up; others may see us come and go.

        Args:
            name: 1 to 127 bytes, or text that has so many in UTF-8. A trailing NUL is kept.
            max_buffered_bytes: What may pile up for the first reader, and the budget of each iterator unless it is
                given its own: payload + 256 bytes per event. 0 for a member that only sends: nothing is kept for the
                first reader, and iterators have 64 MiB.

        Raises:
            GroupNameError: The name cannot be used.
            AlreadyJoinedError: Another part of this process is in the group.
            EngineUnavailableError: It cannot be done, with the cure.
            ConnectionLostError: The engine went away.
            ConnectionClosedError: This side has closed.
        """
        encoded = group_name(name)
        budget = checked_budget(max_buffered_bytes)
        opened_at = caller()
        return Opening(lambda: self._join(encoded, budget, opened_at), f"group {encoded!r}")

    async def _join(self, name: bytes, max_buffered_bytes: int, opened_at: str) -> Group:
        life = await self._session.join(name, max_buffered_bytes, opened_at)
        return Group(life, self.max_message_size, max_buffered_bytes, self._close_timeout)

    async def members(self, name: bytes | str) -> tuple[Address, ...]:
        """
        Who is in a group now, whether we are or not; empty for a group nobody is in (``cpg_membership_get``).

        A snapshot of the daemon's knowledge, ahead of the events still on their way: do not mix it with a stream.
        Waits for the daemon without bound; cancelling is safe.

        Raises:
            GroupNameError: The name cannot be used.
            ConnectionLostError: The engine went away.
            ConnectionClosedError: This side has closed.
        """
        encoded = group_name(name)
        return await self._session.ask(lambda engine: engine.members(encoded))

    async def groups(self) -> Mapping[bytes, tuple[Address, ...]]:
        """
        All groups of the cluster with their members (``cpg_iteration_initialize``).

        A snapshot. Each listing opens a handle of its own, because libcpg can hang in it for good when the daemon
        dies; that costs a thread, of which there are at most eight. Waits for the daemon without bound; cancelling is
        safe.

        Raises:
            EngineUnavailableError: No handle can be had, or too many listings hang.
            ConnectionLostError: The engine went away.
            ConnectionClosedError: This side has closed.
        """
        return await self._session.ask(lambda engine: engine.groups())

    def rings(self, *, max_buffered_bytes: int = MAX_BUFFERED_BYTES) -> Stream[RingChange]:
        """
        The rings as this node's daemon forms them, beginning with the present one.

        There is no order between these and the events of a group, which has its own :class:`RingChange` in
        ``events()``. Corosync tells the present ring only with a change of some group; where none was seen yet, a group
        that nobody else is in is joined for a moment (``aiocpg.ring-probe.PID``). At ``local://`` there is one ring.

        Args:
            max_buffered_bytes: What the iterator may hold unread, 256 bytes per event.

        Raises:
            ConnectionClosedError: This side has closed.
        """
        return self._session.open_rings(checked_budget(max_buffered_bytes))

    def quorum(self) -> Opening[QuorumWatch]:
        """
        Watch whether this node is with the majority: ``await`` it, or enter it with ``async with``.

        Returns with the present state, as soon as the daemon has told it. Its ``state`` is then how it is now, and it
        iterates over changes; it may be opened any number of times.

        Where nobody decides what a majority is, the state is :class:`NoQuorumProvider`, and never quorate: with a
        Corosync that has no ``quorum.provider``, and at ``local://``. ``memory://`` counts its nodes.

        With Corosync the first call opens a libquorum handle, which stays until the connection ends: two descriptors
        and 3 MiB in /dev/shm. Waits for the daemon without bound; cancelling is safe.

        Raises:
            EngineUnavailableError: It cannot be had, with the cure: libquorum is not installed, for one.
            ConnectionLostError: The engine went away.
            ConnectionClosedError: This side has closed.

        Example::

            async with cpg.quorum() as quorum:
                if not quorum.state.is_quorate: ...
        """
        opened_at = caller()
        return Opening(lambda: self._session.quorum.open(opened_at), "quorum()")

    async def aclose(self) -> None:
        """
        Leave all groups and close, within ``close_timeout`` seconds; what then still waits is shut down.

        Each group leaves as :meth:`Group.leave` does. Repeating does nothing; in a forked child it does nothing to the
        parent's connection. Cancelling closes hard.
        """
        await self._session.aclose(self._close_timeout)

    async def __aenter__(self) -> Connection:
        self._session.check_open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._session.place.is_in_child():
            return  # there is no loop here to wait in, and the connection is the parent's
        # Shielded, as a group's block is: leaving is what a cancelled task still owes its groups. It is bounded.
        with anyio.CancelScope(shield=True):
            await self.aclose()

    def __repr__(self) -> str:
        link = self._link
        state = "closed" if link.is_closed else "lost" if link.error else "away" if link.is_away else "open"
        return f"<Connection node {self.nodeid} {state}>"


def connect(
    url: str | None = None,
    *,
    connect_timeout: float | None = 10,
    close_timeout: float = 5,
    reconnect: bool | Reconnect | None = None,
    stall_after: float | None = None,
    daemon_uid: int | None = None,
) -> Opening[Connection]:
    """
    Connect to the world that a URL names: ``await`` it, or enter it with ``async with``, which closes at the end.

    Works under asyncio, uvloop and trio. Cancelling is safe: nothing stays open.

    With ``reconnect`` the connection outlives its daemon. Each group stays the object it is and joins again, as a
    newcomer to the others; the gap shows in every iterator: ``events()`` hands out :class:`Disconnected`, iterators
    of some kinds of events raise :class:`ConnectionLostError` once and go on behind it. Calls that have handed nothing
    over wait; what was handed over and had not come back is unknown, and ``mcast_confirmed`` says so. The first
    connect is not retried.

    Args:
        url: ``corosync://``, the daemon on this host; ``local://NAME``, the processes of this user on this host, which
            starts a broker on first use; ``memory://NAME``, inside this process. ``$AIOCPG_URL`` unless given, and
            ``corosync://`` where that is not set. One engine is never replaced by another.
        connect_timeout: Seconds until a daemon that does not answer is given up, at each try; None waits for ever.
        close_timeout: Seconds that leaving and closing may take before they are cut short.
        reconnect: Whether to come back when the daemon is lost, and how; without it a loss ends everything.
        stall_after: Seconds, more than 0, without an answer after which the daemon counts as stalled. It is then asked
            all the time; None: only while a send or a call is pending, and 2 s.
        daemon_uid: Refuse a daemon that runs as another user id. With ``memory://``, where there is none, an error.

    Raises:
        UsageError: The URL names no engine or says what it does not take, or the loop runs on a thread whose stack is
            too small.
        EngineUnavailableError: With the reason and the cure; ``transient`` tells whether trying again may help.
    """
    return connect_entering(
        None,
        url,
        connect_timeout=connect_timeout,
        close_timeout=close_timeout,
        reconnect=reconnect,
        stall_after=stall_after,
        daemon_uid=daemon_uid,
    )


def connect_entering(
    enter: Callable[[], object] | None,
    url: str | None = None,
    *,
    connect_timeout: float | None = 10,
    close_timeout: float = 5,
    reconnect: bool | Reconnect | None = None,
    stall_after: float | None = None,
    daemon_uid: int | None = None,
) -> Opening[Connection]:
    """:func:`connect` for tests: ``enter`` takes each fresh thread that opens a handle to the daemon's namespaces."""
    chosen = url or os.environ.get("AIOCPG_URL") or engines.DEFAULT_URL
    engines.prepare(chosen)
    _check_seconds("connect_timeout", 0 if connect_timeout is None else connect_timeout)
    _check_seconds("close_timeout", close_timeout)
    if stall_after is not None:
        _check_seconds("stall_after", stall_after, more_than_0=True)
    if daemon_uid is not None and not isinstance(daemon_uid, int):
        raise TypeError(f"daemon_uid is a user id, a number, not {daemon_uid!r}")
    policy = policy_of(reconnect)
    opened_at = caller()

    async def open_() -> Connection:
        port = current_port()

        async def open_engine() -> Engine:
            with anyio.move_on_after(connect_timeout):
                return await engines.open_engine(chosen, port, daemon_uid=daemon_uid, enter=enter)
            raise _not_in_time(chosen, connect_timeout)

        engine = await open_engine()
        way_back = None if policy is None else Return(policy, open_engine)
        return Connection(Session(engine, port, opened_at, way_back, stall_after), close_timeout)

    return Opening(open_, chosen)


def engine_of(connection: Connection) -> Engine:
    """The engine of a connection, for tests that do something to it; while away, the one that was lost."""
    return connection._link.engine


def _not_in_time(url: str, seconds: float | None) -> EngineUnavailableError:
    return EngineUnavailableError(
        f"{url} did not let us in within {seconds:g} s",
        "the daemon is stopped, overloaded, starting or forming a ring: try again, or look at its log",
        transient=True,
    )


def _check_seconds(name: str, value: float, *, more_than_0: bool = False) -> None:
    if not isinstance(value, (int, float)):
        raise TypeError(f"{name} is a number of seconds, not {value!r}")
    if not value >= 0 or (more_than_0 and value == 0):
        raise ValueError(f"{name} is a number of seconds, {'more than 0' if more_than_0 else '0 or more'}, not {value}")
