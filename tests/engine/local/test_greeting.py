"""Being let in: by a broker, by something that is none, and being called off meanwhile."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Iterator

import pytest

from aiocpg._events import RingChange, RingId
from aiocpg.engine.local import _greeting, _wire
from aiocpg.engine.local._directory import Files, files, prepare
from aiocpg.engine.local._greeting import CalledOffError, CallOff, NotLetInError, greet, join
from aiocpg.engine.local._starting import reach
from aiocpg.engine.local._wire import Hello, Refusal
from aiocpg.errors import AlreadyJoinedError, EngineUnavailableError
from support.handles import forked


@pytest.fixture
def found() -> Files:
    """The files of a world, in a directory that is there."""
    prepare()
    return files("demo")


@pytest.fixture
def listening(found: Files) -> Iterator[socket.socket]:
    """A socket where the broker's should be."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(found.socket))
        sock.listen()
        yield sock


def answering(listening: socket.socket, answer: bytes) -> None:
    """Let in one client, and tell it this."""

    def run() -> None:
        sock, _ = listening.accept()
        sock.sendall(answer)
        sock.recv(1024)
        sock.close()

    threading.Thread(target=run, daemon=True).start()


def test_nobody_there_is_no_error_of_the_system(found: Files) -> None:
    """It is what a broker is started for."""
    with pytest.raises(NotLetInError):
        greet(found, Hello(1), CallOff())


def test_end_before_a_word_is_a_broker_that_was_going(found: Files, listening: socket.socket) -> None:
    """There will be another."""
    answering(listening, b"")
    with pytest.raises(NotLetInError):
        greet(found, Hello(1), CallOff())


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request", _wire.pong(1), _wire.welcome(_wire.Welcome(1, 1)) * 2])
def test_what_is_no_broker_is_told_so(found: Files, listening: socket.socket, answer: bytes) -> None:
    """And where it listens."""
    answering(listening, answer)
    with pytest.raises(EngineUnavailableError, match="is no broker") as caught:
        greet(found, Hello(1), CallOff())
    assert str(found.socket) in str(caught.value)


def test_refusal_carries_the_brokers_words(found: Files, listening: socket.socket) -> None:
    """And whether it will pass."""
    answering(listening, _wire.refused(Refusal.FULL, "there are 1024"))
    with pytest.raises(EngineUnavailableError, match="there are 1024") as caught:
        greet(found, Hello(1), CallOff())
    assert caught.value.transient


def test_refusal_of_a_newer_broker_is_understood(found: Files, listening: socket.socket) -> None:
    """It may have reasons that we do not know."""
    answering(listening, _wire.frame(_wire.Kind.REFUSED, b"\xffnew"))
    with pytest.raises(EngineUnavailableError, match="new"):
        greet(found, Hello(1), CallOff())


def test_another_version_is_refused_by_name(found: Files) -> None:
    """A service that was updated meets a broker that was not."""
    reach("demo", found, Hello(1), CallOff()).sock.close()
    with pytest.raises(EngineUnavailableError, match="version 1 of the protocol, not 2"):
        greet(found, Hello(1, version=2), CallOff())


def test_silence_is_called_off(found: Files, listening: socket.socket) -> None:
    """By another thread; a broker that is stopped says nothing."""
    call_off = CallOff()
    threading.Timer(0.05, call_off).start()
    with pytest.raises((CalledOffError, NotLetInError)):
        greet(found, Hello(1), call_off)
    with pytest.raises(CalledOffError):
        greet(found, Hello(1), call_off)


def test_full_queue_is_waited_for(found: Files) -> None:
    """A broker that stands still has one in the end; it is not gone, and no other is to be looked for."""
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(found.socket))
        listening.listen(0)
        first.connect(str(found.socket))
        call_off = CallOff()
        threading.Timer(0.1, call_off).start()
        with pytest.raises(CalledOffError):
            greet(found, Hello(1), call_off)


def test_lack_of_descriptors_is_told_as_such(found: Files) -> None:
    """Not in the system's class of errors, and it may pass."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(EngineUnavailableError, match="Too many open files") as caught:
            greet(found, Hello(1), CallOff())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.transient


def test_forked_child_holds_no_join_that_is_under_way(found: Files, listening: socket.socket) -> None:
    """It would keep its parent a member for as long as it lives."""

    def join_and_close() -> None:
        greet(found, Hello(1, b"group"), CallOff()).sock.close()

    joining = threading.Thread(target=join_and_close)
    joining.start()
    accepted, _ = listening.accept()
    with accepted:
        accepted.settimeout(30)
        accepted.recv(1024)
        with forked():
            ring = RingChange(RingId(1, 4), (1,))
            accepted.sendall(_wire.welcome(_wire.Welcome(1, 1)) + _wire.record(ring))
            joining.join()
            assert accepted.recv(1) == b""


def test_pid_that_stays_taken_is_given_up(found: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time in which an end of ours would have come through."""
    monkeypatch.setattr(_greeting, "JOIN_RETRY_SECONDS", 0.1)
    with reach("demo", found, Hello(1), CallOff()).sock, join(found, Hello(1, b"group"), CallOff()).sock:
        with pytest.raises(AlreadyJoinedError):
            join(found, Hello(1, b"group"), CallOff())
        join(found, Hello(2, b"group"), CallOff()).sock.close()
