"""A rolling restart of the dashboard on three nodes, under load: what was answered is shown, once, in one order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from uuid import uuid4

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout

from aiocpg.testing import ClusterNode, CorosyncCluster

from .dashboards import PATIENCE, PROGRAM, ROOT

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed

CLIENTS = 4
LINES = 60
"""Of each client; of all together fewer than a page begins with."""


class Service:
    """An instance on a node. Its socket is open before it is, and stays when it goes: nobody is refused meanwhile."""

    def __init__(self, node: ClusterNode) -> None:
        self._node = node
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        descriptor = self._listener.fileno()
        argv = [*PROGRAM, "--fd", str(descriptor), "--name", f"node {self._node.nodeid}"]
        environment = os.environ | {"AIOCPG_URL": "corosync://", "PYTHONWARNINGS": "error"}
        return self._node.spawn(argv, cwd=ROOT, env=environment, pass_fds=[descriptor])

    def restart(self) -> None:
        """Tell it to end, and start it again when it has, without a complaint."""
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(PATIENCE) == 0
        self._process = self._start()

    def close(self) -> None:
        """End it."""
        with self._listener, self._process:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            finally:
                self._process.kill()


@pytest.fixture
def services(cluster: CorosyncCluster) -> Iterator[list[Service]]:
    """An instance on each node."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Service(node))) for node in cluster.nodes]


async def send(session: ClientSession, urls: list[str], text: str) -> None:
    """Send a line as a client does that wants it sent: elsewhere with the same id, until somebody says that it is."""
    body = {"id": uuid4().hex, "lines": [text]}
    for attempt in range(60):
        try:
            async with session.post(f"{urls[attempt % len(urls)]}/messages", json=body) as answer:
                if answer.status == 200:
                    return
                assert answer.status == 503, await answer.text()
        except (ClientError, TimeoutError):
            await asyncio.sleep(0.05)
    raise AssertionError(f"nobody took {text}")


class Load:
    """Clients that send lines to all instances in turn, and the lines that were answered with 200."""

    def __init__(self, session: ClientSession, services: list[Service]) -> None:
        self._session = session
        self._services = services
        self._more = asyncio.Condition()
        self.answered: list[str] = []

    async def run(self, client: int) -> None:
        """Be one of the clients."""
        for number in range(LINES):
            first = (client + number) % len(self._services)
            urls = [service.url for service in self._services[first:] + self._services[:first]]
            text = f"client {client} line {number}"
            await send(self._session, urls, text)
            async with self._more:
                self.answered.append(text)
                self._more.notify_all()

    async def until(self, part: float) -> None:
        """Wait until so much of it is answered, 0 to 1."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.answered) >= part * CLIENTS * LINES)


async def shown(session: ClientSession, service: Service, last: str) -> list[str]:
    """Return the lines that a page shows which is opened now, once the last of them has come to it."""
    entries = []
    async with session.ws_connect(f"{service.url}/events") as page:
        while not entries or entries[-1].get("text") != last:
            frame = json.loads(await page.receive_str(timeout=PATIENCE))
            if frame["type"] == "begin":
                entries = frame["entries"]
            elif frame["type"] == "entry":
                entries.append(frame)
    return [entry["text"] for entry in entries if entry["kind"] == "line"]


async def until_ready(session: ClientSession, service: Service) -> None:
    """Wait until it is in the group and has the list of the others."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with session.get(f"{service.url}/ready") as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


async def roll(session: ClientSession, services: list[Service], load: Load) -> None:
    """Restart one after the other in the middle of the load, each when the one before is back in the group."""
    for number, service in enumerate(services):
        await load.until((number + 0.5) / len(services))
        await asyncio.to_thread(service.restart)
        await until_ready(session, service)


@pytest.mark.asyncio
async def test_rolling_restart_loses_and_doubles_nothing(services: list[Service]) -> None:
    """Every line that was answered with 200 is on all pages exactly once, and all pages have one order."""
    async with ClientSession(timeout=ClientTimeout(PATIENCE)) as session:
        for service in services:
            await until_ready(session, service)
        load = Load(session, services)
        async with asyncio.TaskGroup() as tasks:
            for client in range(CLIENTS):
                tasks.create_task(load.run(client))
            await roll(session, services, load)
        await send(session, [services[0].url], "the last word")
        pages = [await shown(session, service, "the last word") for service in services]
    assert len(load.answered) == CLIENTS * LINES
    assert pages[0] == pages[1] == pages[2]
    assert Counter(pages[0]) == Counter([*load.answered, "the last word"])
