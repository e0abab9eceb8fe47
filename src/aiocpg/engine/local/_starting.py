"""
Starting a broker where there is none.

Whoever holds the lock is the broker, or is about to start it; the lock is handed to the broker's process and ends with
it, however that ends. So of many that start at once one is the starter, and what a dead broker left behind is known to
be dead. Everything here blocks, on a thread that can be called off.
"""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from aiocpg.engine.local._directory import Files, prepare
from aiocpg.engine.local._greeting import PAUSE_SECONDS, CallOff, Greeted, NotLetInError, greet, unusable
from aiocpg.engine.local._wire import Hello
from aiocpg.errors import EngineUnavailableError

MOST_STARTS = 3
"""Brokers that one connect starts. Where each ends before it serves, a further one would, too."""

_LOOK_SECONDS = 0.1

_PROGRAM = """
import os, sys
if os.fork():
    os._exit(0)
sys.path.append(sys.argv[1])
from aiocpg.engine.local._process import main
main(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
"""
"""It is nobody's child: who started it may go on for years, and would have to bury it."""

READY = b"\0ready\0"
"""What a broker says last, when it serves. Until then its stderr comes the same way, and not all there is an end."""

_locks: set[int] = set()


def reach(name: str, files: Files, hello: Hello, call_off: CallOff) -> Greeted:
    """
    Be let in by the broker of a world, starting it where there is none.

    Raises:
        EngineUnavailableError: It cannot be started, with the reason, or refuses us.
        CalledOffError: Called off.
    """
    prepare()
    starts = 0
    while True:
        try:
            return greet(files, hello, call_off)
        except NotLetInError:
            starts += _start(name, files, call_off, is_last=starts >= MOST_STARTS)
        call_off.pause(PAUSE_SECONDS)


def _start(name: str, files: Files, call_off: CallOff, *, is_last: bool) -> bool:
    """Start a broker, unless somebody else does or one lives; returns whether we did, and it serves."""
    lock = take_lock(files)
    if lock is None:
        return False
    try:
        if is_last:
            raise _unstartable(f"{MOST_STARTS} brokers ended before they let us in; see {files.log}")
        _run(name, lock, call_off)
    finally:
        release_lock(lock)
    return True


def take_lock(files: Files) -> int | None:
    """
    The lock of a world as a descriptor, if nobody has it.

    Raises:
        EngineUnavailableError: The file cannot be opened.
    """
    try:
        lock = os.open(files.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise unusable(files.lock, error) from error
    _locks.add(lock)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        release_lock(lock)
        return None
    except OSError as error:
        release_lock(lock)
        raise unusable(files.lock, error) from error
    if not is_at(lock, files.lock):
        # The broker that had it has ended, and taken the file with it.
        release_lock(lock)
        return None
    return lock


def release_lock(lock: int) -> None:
    """Give our descriptor back. The lock itself lives on in the process that inherited it."""
    _locks.discard(lock)
    os.close(lock)


def is_at(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return False


def _run(name: str, lock: int, call_off: CallOff) -> None:
    if not sys.executable:
        raise _unstartable("this program's own interpreter is unknown (sys.executable)")
    try:
        here, there = os.pipe()
    except OSError as error:
        raise _unstartable(f"no pipe: {error.strerror}") from error
    with os.fdopen(here, "rb", buffering=0) as told:
        try:
            where = str(Path(__file__).parents[3])
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, where, name, str(lock), str(there)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=there,
                cwd="/",
                pass_fds=(lock, there),
                start_new_session=True,
            )
        except OSError as error:
            raise _unstartable(f"{sys.executable}: {error.strerror}") from error
        finally:
            os.close(there)
        process.wait()
        _wait_ready(told.fileno(), call_off)


def _wait_ready(told: int, call_off: CallOff) -> None:
    """Wait until the broker serves, which it says, or is gone, before which it may have said why."""
    words = b""
    poll = select.poll()  # select() knows descriptors up to 1023 only
    poll.register(told, select.POLLIN)
    while not words.endswith(READY):
        while not poll.poll(_LOOK_SECONDS * 1000):
            call_off.look()
        word = os.read(told, 4096)
        if not word:
            raise _unstartable(words.decode(errors="replace").strip() or "it ended without a word")
        words += word


def _unstartable(why: str) -> EngineUnavailableError:
    return EngineUnavailableError(f"the broker could not be started: {why}", "run it by hand: aiocpg broker NAME")


def _close_all_in_child() -> None:
    # A copy would keep the lock when the broker is gone.
    while _locks:
        with suppress(OSError):
            os.close(_locks.pop())


os.register_at_fork(after_in_child=_close_all_in_child)
