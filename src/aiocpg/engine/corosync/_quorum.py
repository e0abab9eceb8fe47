"""The quorum as the daemon tells it: a libquorum handle beside those of libcpg, read when something has come."""

from __future__ import annotations

from aiocpg._events import DaemonIdentity
from aiocpg._loop import LoopPort
from aiocpg._state.quorum import NoQuorumProvider, Quorum, QuorumState, QuorumUnknown
from aiocpg._threads import NoThreadError, nothing, start_thread
from aiocpg.engine._base import QuorumListener
from aiocpg.engine._libcpg import binding, quorum
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._diagnose import lost_by
from aiocpg.engine.corosync._raw import BUSY_CODES, Library, Opener, RawHandle, end_at_once
from aiocpg.errors import ConnectionLostError, CPGError

NO_PROVIDER = NoQuorumProvider(
    "corosync.conf of this node names no quorum provider",
    "put 'provider: corosync_votequorum' into its section 'quorum', on all nodes, and restart corosync",
)

_UNDECIDED = QuorumUnknown("corosync's quorum provider has not decided anything yet")


def open_on_thread(opener: Opener, daemon: DaemonIdentity | None) -> RawHandle | None:
    """
    A handle that this daemon tells of the quorum, the present state first; None where there is no provider.

    Raises:
        ConnectionLostError: It is another process that tells.
        EngineUnavailableError: libquorum is missing.
        StatusError: The daemon, or the library, said no.
        GaveUp: Called back.
    """
    has_provider = False

    def initialize() -> binding.Handle:
        nonlocal has_provider
        handle, has_provider = quorum.initialize()
        return handle

    quorum.load()
    library = Library(initialize, quorum.fd_get, quorum.finalize)
    raw = opener.retry(lambda: opener.open(library), BUSY_CODES)
    try:
        if raw.daemon != daemon:  # started anew meanwhile, or somebody else has taken the name of the socket
            raise ConnectionLostError("another process than this connection's daemon tells of the quorum")
        if has_provider:
            opener.retry(lambda: raw.request(quorum.trackstart), BUSY_CODES)
    except BaseException:
        end_at_once(raw)
        raise
    if has_provider:
        return raw
    end_at_once(raw)
    return None


def discard(raw: RawHandle | None) -> None:
    """Give back what nobody waited for. On a thread."""
    if raw is not None:
        end_at_once(raw)


def state_of(told: quorum.Told | None) -> QuorumState:
    """What a notification of a provider means."""
    # One without nodes was made before the provider had seen its first ring.
    if told is None or not told.nodes:
        return _UNDECIDED
    return Quorum(told.is_quorate, told.nodes, told.ring_id, "corosync")


class QuorumSource:
    """Reads a handle that :func:`open_on_thread` has made, and reports at once what it has."""

    def __init__(self, port: LoopPort, raw: RawHandle, listener: QuorumListener) -> None:
        self._port = port
        self._raw = raw
        self._listener = listener
        self._newest = quorum.Newest()
        self._is_over = False
        self._watch = port.watch(raw.fd, self._on_readable, nothing, self._crashed)
        self._on_readable()

    def _on_readable(self) -> None:
        if self._is_over:
            return
        status = self._newest.drain(self._raw.handle)
        self._listener.on_quorum(state_of(self._newest.told))
        if status not in (Status.OK, Status.TRY_AGAIN):
            self._lose(lost_by(status))

    def _crashed(self, error: BaseException) -> None:
        lost = ConnectionLostError(f"a fault in aiocpg itself, please report it: {error!r}")
        lost.__cause__ = error
        self._lose(lost)

    def _lose(self, error: CPGError) -> None:
        if not self._is_over:
            self.abandon()
            self._port.call_later(0, lambda: self._listener.on_quorum_lost(error), self._crashed)

    def abandon(self) -> None:
        """Out of the loop, and given back by a thread that nobody waits for; nothing more is reported."""
        if self._is_over:
            return
        self._is_over = True
        self._watch.close()  # at once: a hung-up descriptor stays readable for ever
        try:
            start_thread(lambda: end_at_once(self._raw), "finalize")
        except NoThreadError:
            self._raw.shutdown()  # the daemon sees the hang-up; the memory stays until the process ends
