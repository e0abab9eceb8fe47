"""Starting a broker on first use: one of many starters, what a dead one left, and why it did not start."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.engine.local import _starting
from aiocpg.engine.local._directory import files, prepare
from aiocpg.engine.local._greeting import CalledOffError, CallOff, Greeted, identity
from aiocpg.engine.local._starting import reach, release_lock, take_lock
from aiocpg.engine.local._wire import Hello
from aiocpg.errors import EngineUnavailableError
from support.handles import finish, forked, python, wait_until

REACH = """
import sys
from aiocpg.engine.local._directory import files
from aiocpg.engine.local._greeting import CallOff, identity
from aiocpg.engine.local._starting import reach
from aiocpg.engine.local._wire import Hello
greeted = reach("demo", files("demo"), Hello(1), CallOff())
print(identity(greeted.sock).pid, flush=True)
"""
STAY = "sys.stdin.readline()\n"
"""A broker that nobody uses ends after a while, which a busy machine may take to the next step of a test."""


@pytest.fixture
def raised_limit() -> Iterator[None]:
    """More descriptors than the usual 1024."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], 2048), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def reached(name: str = "demo") -> Greeted:
    """Be let in."""
    return reach(name, files(name), Hello(1), CallOff())


def test_many_that_start_at_once_end_with_one_broker() -> None:
    """Whoever is the starter."""
    programs = [python(REACH + STAY) for _ in range(6)]
    pids = [program.stdout.readline() for program in programs if program.stdout is not None]
    assert len(pids) == 6
    assert len(set(pids)) == 1
    for program in programs:
        finish(program)


def test_broker_outlives_its_starter_and_is_nobodys_child() -> None:
    """Others may be there, and a starter that goes on for years has nobody to bury."""
    childless = "import os\ntry: os.waitpid(-1, os.WNOHANG)\nexcept ChildProcessError: print('none', flush=True)\n"
    starter = python(REACH + childless + STAY)
    assert starter.stdout is not None
    pid, children = starter.stdout.readline(), starter.stdout.readline()
    with reached().sock:
        finish(starter)
        with reached().sock as sock:
            assert (pid, children) == (f"{identity(sock).pid}\n", "none\n")


def test_killed_broker_is_followed_by_another() -> None:
    """Its socket and its lock are still there, and are known to be dead."""
    with reached().sock as sock:
        first = identity(sock).pid
        os.kill(first, signal.SIGKILL)
        assert sock.recv(1) == b""
    assert files("demo").socket.exists()
    with reached().sock as sock:
        assert identity(sock).pid != first


def test_broker_that_cannot_start_says_why(local_directory: Path) -> None:
    """In the error, with what its process had to say."""
    prepare()
    files("demo").log.mkdir()
    with pytest.raises(EngineUnavailableError, match=r"demo\.log") as caught:
        reached()
    assert "aiocpg broker" in caught.value.cure


def test_lack_of_descriptors_is_told_as_such(local_directory: Path) -> None:
    """Whichever of them is missing; it may pass."""
    prepare()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    told = []
    for more in range(8):
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + more, limits[1]))
        try:
            reached(f"with-{more}").sock.close()
        except EngineUnavailableError as error:
            told.append("Too many open files" in str(error))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(told) >= 3
    assert all(told)


@pytest.mark.parametrize("executable", ["", "/nowhere/python"])
def test_program_without_an_interpreter_is_told_so(executable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some programs embed Python."""
    monkeypatch.setattr(sys, "executable", executable)
    with pytest.raises(EngineUnavailableError, match="could not be started"):
        reached()


def test_brokers_that_end_before_they_serve_are_not_started_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few, the next would end, too."""
    ends_at_once = f"import os, sys\nif os.fork(): os._exit(0)\nos.write(int(sys.argv[4]), {_starting.READY!r})"
    monkeypatch.setattr(_starting, "_PROGRAM", ends_at_once)
    with pytest.raises(EngineUnavailableError, match="3 brokers"):
        reached()


def test_broker_that_says_something_else_first_is_started_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loader complains on stderr of what it cannot preload, the interpreter of a warning: that ends nothing."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    reached().sock.close()


def test_program_with_many_descriptors_starts_a_broker(raised_limit: None) -> None:
    """Those from 1024 on are more than select() knows."""
    with contextlib.ExitStack() as many:
        for _ in range(1024):
            many.enter_context(open(os.devnull, "rb"))
        reached().sock.close()


def test_start_is_called_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while the broker has nothing to say."""
    monkeypatch.setattr(_starting, "_PROGRAM", "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(30)")
    call_off = CallOff()
    threading.Timer(0.3, call_off).start()
    with pytest.raises(CalledOffError):
        reach("demo", files("demo"), Hello(1), call_off)


def test_lock_is_for_one() -> None:
    """And free again when its last holder is gone."""
    prepare()
    found = files("demo")
    lock = take_lock(found)
    assert lock is not None
    assert take_lock(found) is None
    release_lock(lock)
    lock = take_lock(found)
    assert lock is not None
    release_lock(lock)


def test_lock_on_a_file_that_was_taken_away_is_none() -> None:
    """Who locks the next file would be a second broker."""
    prepare()
    found = files("demo")
    lock = take_lock(found)
    assert lock is not None
    found.lock.unlink()
    other = take_lock(found)
    assert other is not None
    release_lock(other)
    release_lock(lock)


def test_forked_child_holds_no_lock() -> None:
    """It would keep others from starting a broker for as long as it lives."""
    prepare()
    lock = take_lock(files("demo"))
    assert lock is not None
    with forked():
        release_lock(lock)
        taken: list[int | None] = []
        wait_until(lambda: taken.append(take_lock(files("demo"))) or taken[-1])
    assert taken[-1] is not None
    release_lock(taken[-1])
