"""Reaching a broker and being let in. Everything here blocks, and can be called off from another thread."""

from __future__ import annotations

import errno
import os
import socket
import struct
import threading
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from aiocpg._events import DaemonIdentity, RingChange
from aiocpg.engine.local import _wire
from aiocpg.engine.local._directory import Files
from aiocpg.engine.local._wire import BROKER_LIMITS, Frames, Hello, Kind, Refusal, Welcome, WireError
from aiocpg.errors import AlreadyJoinedError, EngineUnavailableError

PAUSE_SECONDS = 0.01
"""Between two tries of what will go in a moment."""

JOIN_RETRY_SECONDS = 10.0
"""How long a join is tried while the broker still knows an earlier membership of this process."""

_CREDENTIALS = struct.Struct("iII")

_LACKS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})

_sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()


class CalledOffError(Exception):
    """Nobody waits for this any more."""


class NotLetInError(Exception):
    """The socket ended before a word: there is no broker behind it, or it was just going."""


class CallOff:
    """Ends a blocking call from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None
        self._event = threading.Event()

    def __call__(self) -> None:
        """Call off what is under way, and what would begin."""
        with self._lock:
            self._event.set()
            if self._sock is not None:
                with suppress(OSError):
                    self._sock.shutdown(socket.SHUT_RDWR)

    def holds(self, sock: socket.socket | None) -> None:
        """This socket is what a call waits on. Raises CalledOffError."""
        with self._lock:
            self._sock = sock
        self.look()

    def look(self) -> None:
        """Raise CalledOffError if it was called off."""
        if self._event.is_set():
            raise CalledOffError

    def pause(self, seconds: float) -> None:
        """Wait so long, or until called off, which raises CalledOffError."""
        self._event.wait(seconds)
        self.look()


class Greeted(NamedTuple):
    """A socket that the broker has let in."""

    sock: socket.socket
    frames: Frames
    """What came behind the ring."""
    welcome: Welcome
    ring: RingChange


def greet(files: Files, hello: Hello, call_off: CallOff) -> Greeted:
    """
    Connect to a broker and introduce ourselves.

    Raises:
        NotLetInError: There is none.
        AlreadyJoinedError: Our process is in the group already.
        EngineUnavailableError: It refuses us, or is no broker.
        CalledOffError: Called off.
    """
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    except OSError as error:
        raise unusable(files.socket, error) from error
    _sockets.add(sock)
    try:
        return _introduce(sock, files, hello, call_off)
    except BaseException:
        sock.close()
        raise


def _introduce(sock: socket.socket, files: Files, hello: Hello, call_off: CallOff) -> Greeted:
    call_off.holds(sock)
    try:
        _connect(sock, files, call_off)
        sock.sendall(_wire.hello(hello))
        return _let_in(sock, hello)
    except (FileNotFoundError, ConnectionError) as error:
        raise NotLetInError from error
    except OSError as error:
        raise unusable(files.socket, error) from error
    except WireError as error:
        cure = "is it another program's? remove it, and look who made it"
        raise EngineUnavailableError(f"what listens on {files.socket} is no broker: {error}", cure) from error
    finally:
        call_off.holds(None)


def _connect(sock: socket.socket, files: Files, call_off: CallOff) -> None:
    """Connect; behind a full queue, as one that stands still has in the end, nothing else ends the wait."""
    sock.setblocking(False)
    while True:
        try:
            sock.connect(os.fspath(files.socket))
            break
        except BlockingIOError:
            call_off.pause(PAUSE_SECONDS)
    sock.setblocking(True)


def unusable(path: Path, error: OSError) -> EngineUnavailableError:
    """What a call of the system means that failed with one of our files."""
    lacks = error.errno in _LACKS
    cure = "close what is not used, or raise the limit (ulimit -n)" if lacks else "mend or remove it"
    return EngineUnavailableError(f"{path}: {error.strerror}", cure, lacks)


def join(files: Files, hello: Hello, call_off: CallOff) -> Greeted:
    """
    As :func:`greet`, for a while again while the broker has not yet seen the end of an earlier join of ours.

    Raises:
        AlreadyJoinedError: It is in the group, and stays there: another process claims our pid.
    """
    deadline = time.monotonic() + JOIN_RETRY_SECONDS
    while True:
        try:
            return greet(files, hello, call_off)
        except AlreadyJoinedError:
            if time.monotonic() > deadline:
                raise
        call_off.pause(PAUSE_SECONDS)


def identity(sock: socket.socket) -> DaemonIdentity:
    """Who listens on the other side."""
    return DaemonIdentity(
        *_CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    )


def _let_in(sock: socket.socket, hello: Hello) -> Greeted:
    frames = Frames(BROKER_LIMITS)
    kind, body = _next(sock, frames)
    if kind == Kind.REFUSED:
        raise _refused(body, hello)
    if kind != Kind.WELCOME:
        raise WireError(f"its first frame is of kind {kind}")
    welcome = _wire.read_welcome(body)
    kind, body = _next(sock, frames)
    if kind != Kind.RING:
        raise WireError(f"its second frame is of kind {kind}")
    return Greeted(sock, frames, welcome, _wire.read_ring(body))


def _next(sock: socket.socket, frames: Frames) -> tuple[int, bytes]:
    while (found := frames.next()) is None:
        data = sock.recv(65536)
        if not data:
            raise ConnectionResetError
        frames.feed(data)
    return found


def _refused(body: bytes, hello: Hello) -> Exception:
    why, text = _wire.read_refused(body)
    if why == Refusal.ALREADY_JOINED:
        return AlreadyJoinedError(hello.group)
    cures = {
        Refusal.VERSION: "let all processes of this world use one version of aiocpg, and end its broker",
        Refusal.FULL: "close connections and groups that are not used",
    }
    cure = cures.get(Refusal(why), "") if why in Refusal._value2member_map_ else ""
    return EngineUnavailableError(f"the broker refuses us: {text}", cure, why == Refusal.FULL)


def _close_all_in_child() -> None:
    # Of a join that is under way: a copy would keep us a member when we are gone.
    for sock in list(_sockets):
        sock.close()


os.register_at_fork(after_in_child=_close_all_in_child)
