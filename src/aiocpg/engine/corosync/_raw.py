"""One handle of libcpg or libquorum as threads see it: opened, asked, shut down, finalized. Knows no event loop."""

from __future__ import annotations

import math
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, TypeVar
from weakref import WeakSet

from aiocpg._events import DaemonIdentity
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._gate import GaveUp, gate
from aiocpg.errors import StatusError

DELIVER_INITIAL_TOTEM_CONF = 1

RETRY_FIRST_SECONDS = 0.002
RETRY_MOST_SECONDS = 0.05

T = TypeVar("T")

_open: WeakSet[RawHandle] = WeakSet()


class Library(NamedTuple):
    """What the handles of one of Corosync's libraries have in common with those of the others: all are libqb's."""

    initialize: Callable[[], binding.Handle]
    fd_get: Callable[[binding.Handle], int]
    finalize: Callable[[binding.Handle], None]


def _initialize_cpg() -> binding.Handle:
    return binding.initialize(DELIVER_INITIAL_TOTEM_CONF)


LIBCPG = Library(_initialize_cpg, binding.fd_get, binding.finalize)


class RawHandle:
    """
    A handle and its descriptor.

    Requests, which wait for a reply, are made one at a time, on threads; ``shutdown`` makes a waiting one return within
    two seconds, after which the handle is only good for ``finalize``.
    """

    def __init__(self, handle: binding.Handle, library: Library = LIBCPG) -> None:
        self.handle = handle
        self.fd = library.fd_get(handle)
        self._library = library
        # A descriptor of our own for the same socket: libcpg closes its one inside finalize, on a thread, and shutting
        # down a number that then belongs to somebody else would break a stranger's connection.
        self._socket = socket.socket(fileno=os.dup(self.fd))
        self._requests = threading.Lock()
        self._finalized = False
        self.pid = os.getpid()
        _open.add(self)

    @property
    def daemon(self) -> DaemonIdentity:
        """The process at the other end, from the kernel (``SO_PEERCRED``, unix(7))."""
        layout = struct.Struct("=iII")
        return DaemonIdentity(
            *layout.unpack(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, layout.size))
        )

    @property
    def is_hung_up(self) -> bool:
        """Whether the daemon has closed the connection."""
        poll = select.poll()
        poll.register(self._socket, 0)  # hang-up and error are always reported
        return bool(poll.poll(0))

    def wait_readable(self, seconds: float) -> bool:
        """Wait until there is something to dispatch, at most so long. On a thread."""
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def request(self, call: Callable[[binding.Handle], T]) -> T:
        """Make a call that waits for a reply. On a thread; two at once would corrupt libcpg's request ring."""
        with self._requests:
            return call(self.handle)

    def shutdown(self) -> None:
        """End the connection, so that whatever waits for the daemon returns. From any thread, any number of times."""
        with suppress(OSError):  # not connected any more, or closed: that is what was wanted
            self._socket.shutdown(socket.SHUT_RDWR)

    def finalize(self) -> None:
        """Give the handle back. On a thread; waits for the daemon's reply unless shut down. Repeating does nothing."""
        if os.getpid() != self.pid:
            return
        with self._requests:
            if self._finalized:
                return
            self._finalized = True
            with suppress(StatusError):  # whatever it answers, the handle is gone (lib/cpg.c, cpg_finalize)
                self._library.finalize(self.handle)
            _open.discard(self)
            self._socket.close()

    def close_in_child(self) -> None:
        """After a fork, in the child: close the descriptors and nothing else; the rest is the parent's."""
        # A finalize under way in the parent may have closed libcpg's descriptor, whose number then is another's.
        with suppress(OSError):
            if os.path.sameopenfile(self.fd, self._socket.fileno()):
                os.close(self.fd)
        self._socket.close()


def end_at_once(raw: RawHandle) -> None:
    """Shut a handle down and give it back, without waiting for the daemon. On a thread."""
    raw.shutdown()
    raw.finalize()


class Opener:
    """Opens handles on a thread, and can be called back from another."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._lock = threading.Lock()
        self._raw: RawHandle | None = None
        self._given_up = threading.Event()

    @property
    def has_given_up(self) -> bool:
        """Whether the caller has lost interest."""
        return self._given_up.is_set()

    def raise_if_given_up(self) -> None:
        """Raise GaveUp when the caller has lost interest."""
        if self.has_given_up:
            raise GaveUp

    def give_up(self) -> None:
        """Return as soon as may be. ``cpg_initialize`` itself cannot be reached and is left to its thread."""
        self._given_up.set()
        with self._lock:
            if self._raw is not None:
                self._raw.shutdown()

    def call_off(self) -> None:
        """Like :meth:`give_up`, but a request in hand is answered: somebody must know whether it was made."""
        self._given_up.set()

    def open(self, library: Library = LIBCPG) -> RawHandle:
        """
        A new handle at the daemon. On a fresh thread.

        Raises:
            StatusError: ``cpg_model_initialize``, or what it is in the library, said no.
            GaveUp: Called back before anything was opened.
        """
        self._daemon.reach()
        with gate.passage(self._daemon.key, lambda: self.has_given_up):
            handle = library.initialize()
        raw = RawHandle(handle, library)
        with self._lock:
            self._raw = raw
            if self.has_given_up:
                raw.shutdown()
        return raw

    def retry(self, call: Callable[[], T], codes: frozenset[int], deadline: float = math.inf) -> T:
        """Like :func:`retry`, until called back."""
        return retry(call, codes, self._given_up, deadline)


BUSY_CODES = frozenset({int(Status.TRY_AGAIN)})
"""What a call answers while the cluster is congested or forming a ring: the request was not made."""


def retry(call: Callable[[], T], codes: frozenset[int], given_up: threading.Event, deadline: float = math.inf) -> T:
    """
    Repeat a call while it answers one of ``codes``, with growing pauses. Blocks.

    Raises:
        StatusError: It answered something else, or still one of these at the deadline (of :func:`time.monotonic`).
        GaveUp: Called back.
    """
    pause = RETRY_FIRST_SECONDS
    while True:
        try:
            return call()
        except StatusError as error:
            if error.code not in codes or time.monotonic() >= deadline:
                raise
        if given_up.wait(pause):
            raise GaveUp
        pause = min(2 * pause, RETRY_MOST_SECONDS)


def _close_all_in_child() -> None:
    for raw in list(_open):
        raw.close_in_child()
    _open.clear()


os.register_at_fork(after_in_child=_close_all_in_child)
