"""
Three instances side by side on this machine, and the cluster under them: what a dashboard shows needs company.

The instances are programs that know nothing of this one. It makes the sockets they listen on and hands them over open,
as systemd does: a socket belongs to the network it was made in, so an instance inside of a node can be reached from
outside.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from .network import cutting

Program: TypeAlias = "subprocess.Popen[bytes]"
Start: TypeAlias = Callable[[int, list[str], socket.socket], Program]

NAMES = ("alice", "bob", "carol")
ROOT = Path(__file__).parents[len((__package__ or "").split("."))]
"""Where Python finds this package."""
LIMIT = 20
"""Seconds that an instance may take to leave."""


async def on_stage(*, cluster: bool, port: int) -> None:
    """
    Run three instances until SIGINT, SIGTERM or SIGHUP, or until one of them ends.

    Args:
        cluster: Whether they are on three nodes of a Corosync, or processes at ``local://``.
        port: Of the first on 127.0.0.1, the others follow; 0 for any that are free.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with _on_a_cluster() if cluster else _on_this_host() as start:
        with _instances(start, port) as programs, _watched(programs, stop.set):
            await stop.wait()
    # One that was told to end before it had begun ends by the signal.
    if not {program.returncode for program in programs} <= {0, -signal.SIGTERM}:
        sys.exit(f"the instances ended with {[program.returncode for program in programs]}")


@contextmanager
def _watched(programs: Sequence[Program], then: Callable[[], object]) -> Iterator[None]:
    """Call `then` when one of the programs ends."""
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        for program in programs:
            descriptor = os.pidfd_open(program.pid)
            stack.callback(os.close, descriptor)
            loop.add_reader(descriptor, then)
            stack.callback(loop.remove_reader, descriptor)
        yield


@asynccontextmanager
async def _on_this_host() -> AsyncIterator[Start]:
    environment = os.environ | {"AIOCPG_URL": f"local://dashboard-{os.getpid()}"}

    def start(number: int, argv: list[str], listener: socket.socket) -> Program:
        return subprocess.Popen(argv, env=environment, **_handing_over(listener))

    yield start


@asynccontextmanager
async def _on_a_cluster() -> AsyncIterator[Start]:
    from aiocpg.testing import CorosyncCluster  # noqa: PLC0415 - not there where it is not needed

    async with CorosyncCluster(nodes=len(NAMES)) as cluster:

        def cut(nodes: Sequence[int]) -> None:
            if nodes:
                cluster.partition(nodes)
            else:
                cluster.heal()

        def start(number: int, argv: list[str], listener: socket.socket) -> Program:
            argv = [*argv, "--network", str(path)]
            environment = os.environ | {"AIOCPG_URL": "corosync://"}
            return cluster.node(number).spawn(argv, env=environment, **_handing_over(listener))

        with tempfile.TemporaryDirectory(prefix="aiocpg-dashboard-") as directory:
            path = Path(directory) / "network"
            async with cutting(path, cut):
                yield start


def _handing_over(listener: socket.socket) -> dict[str, Any]:
    # A process group of its own: the terminal sends Ctrl-C to all of ours, and who is told to end twice ends at once.
    return {"cwd": ROOT, "pass_fds": [listener.fileno()], "process_group": 0}


@contextmanager
def _instances(start: Start, port: int) -> Iterator[list[Program]]:
    programs: list[Program] = []
    try:
        for number, name in enumerate(NAMES, 1):
            with _listening(port and port + number - 1) as listener:
                argv = [sys.executable, "-m", str(__package__), "--name", name, "--fd", str(listener.fileno())]
                programs.append(start(number, argv, listener))
                print(f"{name}: http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        print("Ctrl-C ends them all.", flush=True)
        yield programs
    finally:
        _end(programs)


def _listening(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        sys.exit(f"cannot listen on port {port}: {os.strerror(error.errno or 0)}; try another with --port")


def _end(programs: Sequence[Program]) -> None:
    for program in programs:
        program.terminate()
    for program in programs:
        try:
            program.wait(LIMIT)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()
