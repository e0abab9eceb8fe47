"""The broker as a process: when it ends, and what it leaves."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from aiocpg.engine.local._directory import Files, files
from aiocpg.engine.local._greeting import CallOff, identity
from aiocpg.engine.local._process import _World
from aiocpg.engine.local._starting import reach, release_lock, take_lock
from aiocpg.engine.local._wire import Hello
from aiocpg.errors import EngineUnavailableError
from support.handles import finish, python, wait_until

FOREGROUND = "from aiocpg.engine.local._process import foreground\nforeground('demo')"


def connected() -> socket.socket:
    """A socket that was let in."""
    return reach("demo", files("demo"), Hello(1), CallOff()).sock


def is_running(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def left(found: Files) -> set[str]:
    """What is there of a world."""
    return {path.name for path in (found.socket, found.lock) if path.exists()}


def test_broker_that_nobody_uses_ends_and_leaves_nothing() -> None:
    """A while after its last client; the log stays."""
    with connected() as sock:
        pid = identity(sock).pid
    wait_until(lambda: not is_running(pid))
    assert left(files("demo")) == set()


def test_broker_of_a_service_manager_stays_until_it_is_ended() -> None:
    """By SIGTERM, and leaves nothing."""
    program = python(FOREGROUND)
    wait_until(files("demo").socket.exists)
    with connected() as sock:
        assert identity(sock).pid == program.pid
        program.send_signal(signal.SIGTERM)
        finish(program)
    assert left(files("demo")) == set()


def test_second_broker_is_refused_with_the_first_ones_pid() -> None:
    """Two of one name would be two worlds."""
    from aiocpg.engine.local._process import foreground

    with connected() as sock, pytest.raises(EngineUnavailableError, match=f"pid {identity(sock).pid}"):
        foreground("demo")


@pytest.mark.parametrize("taken", ["lock", "socket"])
def test_broker_sees_that_its_files_are_taken_away(taken: str) -> None:
    """Clients would find nobody there, and start another world beside it."""
    with connected():
        pass
    found = files("elsewhere")
    lock = take_lock(found)
    assert lock is not None
    with _World(found, lock) as world:
        assert world.is_ours()
        getattr(found, taken).unlink()
        assert not world.is_ours()
    release = take_lock(found)
    assert release is not None
    release_lock(release)


def test_broker_sees_that_its_directory_is_no_more(local_directory: Path) -> None:
    """Nor anything that it could be."""
    with connected():
        pass
    found = files("elsewhere")
    lock = take_lock(found)
    assert lock is not None
    with _World(found, lock) as world:
        shutil.rmtree(local_directory)
        local_directory.touch()
        assert not world.is_ours()
    local_directory.unlink()
