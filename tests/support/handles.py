"""Raw libcpg handles for tests: opened on a node, drained until something has come, or used by a child process."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import aiocpg
from aiocpg import lowlevel
from aiocpg.engine._libcpg import binding
from aiocpg.testing import ClusterNode

T = TypeVar("T")

PATIENCE = 30
"""Seconds until a wait gives up."""

SOURCE = Path(aiocpg.__file__).parent.parent


def inside(node: ClusterNode, function: Callable[[], T]) -> T:
    """Call a function on the node, in a thread of its own."""
    outcome: Future[T] = Future()

    def run() -> None:
        try:
            node.enter()
            outcome.set_result(function())
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(PATIENCE)


@contextlib.contextmanager
def open_handle(node: ClusterNode, flags: int = 0) -> Iterator[lowlevel.Handle]:
    """Make a handle on the node and close it at the end, dead or alive."""
    handle = inside(node, lambda: lowlevel.model_initialize(flags))
    try:
        yield handle
    finally:
        with contextlib.suppress(aiocpg.errors.StatusError):  # the test may have closed it, or ended the daemon
            lowlevel.finalize(handle)


@contextlib.contextmanager
def open_member(node: ClusterNode, group: bytes) -> Iterator[lowlevel.Handle]:
    """Make a handle that has joined the group and has seen itself come."""
    with open_handle(node) as handle:
        wait_until(lambda: joins(handle, group))
        wait_readable(handle)
        status, records = binding.drain(handle, binding.Arena(), 1, 1)
        assert status == binding.Status.OK, binding.status_name(status)
        assert len(records) == 1
        yield handle


def joins(handle: lowlevel.Handle, group: bytes) -> bool:
    """Join, or say False while the handle that this process had in the group before is still on its way out."""
    try:
        binding.join(handle, group)
    except aiocpg.errors.StatusError as error:
        if error.code in (binding.Status.TRY_AGAIN, binding.Status.EXIST):
            return False
        raise
    return True


def unread_events(handle: lowlevel.Handle) -> int:
    """Count the events that wait for dispatch: each has one byte in the socket, up to some 200."""
    count = fcntl.ioctl(binding.fd_get(handle), termios.FIONREAD, bytes(4))
    return int(struct.unpack("=i", count)[0])


def wait_readable(handle: lowlevel.Handle) -> None:
    """Wait until there is something to dispatch."""
    poll = select.poll()
    poll.register(binding.fd_get(handle), select.POLLIN)
    assert poll.poll(PATIENCE * 1000), "nothing came"


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something that nothing announces."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.001)


def drain(handle: lowlevel.Handle, arena: binding.Arena, count: int) -> list[binding.Record]:
    """Drain until so many records have come."""
    records: list[binding.Record] = []
    while len(records) < count:
        wait_readable(handle)
        status, batch = binding.drain(handle, arena, 1000, 1 << 20)
        assert status in (binding.Status.OK, binding.Status.TRY_AGAIN), binding.status_name(status)
        records += batch
    return records


def python(code: str, *arguments: str, node: ClusterNode | None = None, **options: Any) -> subprocess.Popen[str]:
    """Start a Python program with the package on its path and pipes around it, on a node or here."""
    argv = [sys.executable, "-c", code, *arguments]
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    start = subprocess.Popen if node is None else node.spawn
    return start(argv, env=environment, text=True, **(pipes | options))


def finish(process: subprocess.Popen[str], sent: str = "") -> str:
    """Give a program its last input and wait for its end; return what it wrote. It must end well."""
    try:
        out, error = process.communicate(sent, timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, f"ended with {process.returncode}: {error}"
    return out


def heard(process: subprocess.Popen[str], line: str) -> None:
    """Wait until a program says this line."""
    assert process.stdout is not None
    said = process.stdout.readline()
    if said != f"{line}\n":
        process.kill()
        raise AssertionError(f"{line!r} expected, {said!r} came: {process.communicate()[1]}")


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """See that a program is gone at the end, and its pipes closed."""
    with process:
        try:
            yield process
        finally:
            process.kill()


def in_fork(ask: Callable[[], bool]) -> bool:
    """What this answers in a fork of this process."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            signal.alarm(20)
            code = not ask()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


@contextlib.contextmanager
def forked() -> Iterator[int]:
    """Have a forked child, which does nothing, beside the block."""
    here, there = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(there)
            os.read(here, 1)
        finally:  # what it raises shall not come back into the tests
            os._exit(0)
    os.close(here)
    try:
        yield pid
    finally:
        os.close(there)
        os.waitpid(pid, 0)


def daemon_socket_of(node: ClusterNode, before: set[int]) -> int:
    """Return a copy of the descriptor that the daemon has got since: its end of our connection."""
    assert node.pid is not None
    (theirs,) = (fd for fd in sockets(node) - before)
    pidfd = os.pidfd_open(node.pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(438, pidfd, theirs, 0)  # pidfd_getfd
    finally:
        os.close(pidfd)
    assert copy >= 0, os.strerror(ctypes.get_errno())
    return int(copy)


def sockets(node: ClusterNode) -> set[int]:
    """Return the daemon's descriptors that are sockets."""
    folder = f"/proc/{node.pid}/fd"
    return {int(name) for name in os.listdir(folder) if os.readlink(f"{folder}/{name}").startswith("socket:")}
