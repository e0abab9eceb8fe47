"""Servers as people run them: processes on a node, asked over Unix sockets, which reach across its namespaces."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio

from aiocpg.testing import ClusterNode
from support.running import in_thread

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 60
"""Seconds until something that should happen counts as not happening."""

RUN_APP = """
import sys
from aiohttp import web
import {0}
web.run_app({0}.application(), path=sys.argv[1], shutdown_timeout=10)
"""
"""aiohttp waits so long for a connection that was made in the moment before it stopped, and on which nothing comes."""


def run_app(module: str, socket: Path) -> list[str]:
    """The command for an example's application alone."""
    return [sys.executable, "-c", RUN_APP.format(module), str(socket)]


def gunicorn(module: str, socket: Path, workers: int) -> list[str]:
    """The command for several workers; its control socket, where it has one, would be shared by all tests."""
    options = ["--worker-class", "aiohttp.GunicornWebWorker", "--workers", str(workers), "--graceful-timeout", "20"]
    return [sys.executable, "-m", "gunicorn", "--bind", f"unix:{socket}", *options, f"{module}:application()"]


def uvicorn(module: str, socket: Path) -> list[str]:
    """The command for an ASGI application."""
    return [sys.executable, "-m", "uvicorn", "--uds", str(socket), f"{module}:app"]


class Server:
    """A server's process and the way to it."""

    def __init__(self, node: ClusterNode, command: Sequence[str], socket: Path) -> None:
        self._node = node
        self._command = command
        self._socket = socket
        self.log = socket.with_suffix(".log")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return self._node.spawn(self._command, stdout=log, stderr=subprocess.STDOUT, cwd=EXAMPLES)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[aiohttp.ClientSession]:
        """A client whose URLs all lead here."""
        connector = aiohttp.UnixConnector(str(self._socket), force_close=True, limit=0)
        async with aiohttp.ClientSession("http://here", connector=connector) as session:
            yield session

    async def ready(self) -> Any:
        """Wait until it is ready; return what it says."""
        with anyio.fail_after(PATIENCE):
            while True:
                assert self.process.poll() is None, self.log.read_text()
                try:
                    async with self.client() as client, client.get("/ready") as response:
                        if response.status == 200:
                            return await response.json()
                except aiohttp.ClientError:
                    pass
                await anyio.sleep(0.02)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self) -> int:
        """Wait for its end; return its status."""
        return await in_thread(lambda: self.process.wait(PATIENCE))

    async def restart(self) -> None:
        """Stop it in order and start it again; returns when it is ready."""
        self.terminate()
        await self.ended()
        self.process = self._start()
        await self.ready()

    def kill(self) -> None:
        """End it in any way."""
        self.process.kill()
        self.process.wait()
