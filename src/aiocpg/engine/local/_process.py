"""The broker as a process: the files it holds, where it logs, and when it ends."""

from __future__ import annotations

import logging
import os
import resource
import socket
from contextlib import suppress
from logging.handlers import RotatingFileHandler

from aiocpg.engine._url import check_url, place_in
from aiocpg.engine.local._directory import Files, files, prepare
from aiocpg.engine.local._starting import READY, is_at, release_lock, take_lock
from aiocpg.engine.local.broker import run
from aiocpg.errors import EngineUnavailableError

IDLE_SECONDS = 5.0
"""How long a broker that was started on first use waits for a client before it ends."""

_LOG_BYTES = 256 * 1024

_DESCRIPTORS = 4096


def main(name: str, lock: int, told: int) -> None:
    """Be the broker that a client has started: with the lock it took, and a pipe to tell it that we serve."""
    found = files(name)
    handler = RotatingFileHandler(found.log, maxBytes=_LOG_BYTES, backupCount=1)
    logging.basicConfig(level=logging.INFO, handlers=[handler], format="%(asctime)s %(process)d %(message)s")
    with _World(found, lock) as world:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        with suppress(BrokenPipeError):  # who started us was called off; others may be waiting
            os.write(told, READY)
        os.close(told)
        _serve(world, IDLE_SECONDS)


def foreground(name: str) -> None:
    """
    Be the broker of a world until SIGTERM or SIGINT, for service managers. It does not end by itself.

    Raises:
        EngineUnavailableError: There is one already, or its directory cannot be used.
        UsageError: The name cannot be one.
    """
    found = files(place_in(check_url(f"local://{name}"), frozenset()).name)
    prepare()
    lock = take_lock(found)
    if lock is None:
        raise EngineUnavailableError(f"local://{name} has a broker{_who(found)}", "end it, or take another name")
    with _World(found, lock) as world:
        logging.getLogger("aiocpg").info("serving local://%s at %s", name, found.socket)
        _serve(world, None)


def _serve(world: _World, idle_seconds: float | None) -> None:
    # A shell's usual limit of 1024 is less than what the broker lets in.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if 0 <= hard < _DESCRIPTORS else _DESCRIPTORS, hard))
    run(world.listening, idle_seconds=idle_seconds, still_ours=world.is_ours)


def _who(found: Files) -> str:
    with suppress(OSError):
        if pid := found.lock.read_text().strip():
            return f", pid {pid}"
    return ""


class _World:
    """The files of a world in the hands of its broker."""

    def __init__(self, found: Files, lock: int) -> None:
        self._files = found
        self._lock = lock
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.socket.unlink(missing_ok=True)  # a dead broker's: the lock is ours
        self.listening.bind(os.fspath(found.socket))
        self._place = os.stat(found.socket)
        self.listening.listen(socket.SOMAXCONN)
        os.ftruncate(lock, 0)
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)

    def __enter__(self) -> _World:
        return self

    def __exit__(self, *_: object) -> None:
        self.listening.close()
        if self._has_socket():
            self._files.socket.unlink(missing_ok=True)
        if is_at(self._lock, self._files.lock):
            self._files.lock.unlink(missing_ok=True)
        release_lock(self._lock)

    def is_ours(self) -> bool:
        """Whether the files are still where clients look for them. They are marked as used, for who cleans /tmp."""
        if not (is_at(self._lock, self._files.lock) and self._has_socket()):
            return False
        with suppress(OSError):
            for path in (self._files.socket, self._files.lock, self._files.socket.parent):
                os.utime(path)
        return True

    def _has_socket(self) -> bool:
        try:
            return os.path.samestat(self._place, os.stat(self._files.socket, follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return False
