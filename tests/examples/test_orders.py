"""Three instances are restarted in turn under load: every order that was accepted is listed once, everywhere."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from aiocpg import Address
from aiocpg.testing import CorosyncCluster
from examples.programs import EXAMPLES
from support import web_servers
from support.running import until
from support.web_servers import PATIENCE, Server

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed

CLIENTS = 4
PAGES_EACH = 2
BETWEEN = 40
"""Orders accepted between two restarts, so that there is load at each."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """aiohttp's loop."""
    return "asyncio"


class Page:
    """A browser that comes back, to whichever instance answers; its list only ever grows."""

    def __init__(self, servers: Sequence[Server], first: int) -> None:
        self._turns = itertools.islice(itertools.cycle(servers), first, None)
        self.orders: list[list[str]] = []
        self.connections = 0
        self.codes: set[int] = set()

    async def look_on(self) -> None:
        """Show what comes until cancelled."""
        last: str | None = None
        for server in self._turns:
            try:
                async with (
                    server.client() as client,
                    client.ws_connect(
                        "/events", params={} if last is None else {"after": last}, autoclose=False, max_msg_size=0
                    ) as ws,
                ):
                    self.connections += 1
                    while (message := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                        told = message.json()
                        last = told.get("id", last)
                        self._show(told)
                    self.codes.add(message.data)
            except (aiohttp.ClientError, ConnectionError):
                await anyio.sleep(0.02)

    def _show(self, told: Any) -> None:
        if told["type"] == "all":
            # An instance that has just fetched the list may have less of it than another had shown, never another one.
            shorter = min(len(told["orders"]), len(self.orders))
            assert told["orders"][:shorter] == self.orders[:shorter]
            self.orders = told["orders"]
        elif told["type"] == "more":
            self.orders += told["orders"]


class Client:
    """Sends orders, each until it is told 200, to any instance."""

    def __init__(self, name: str, servers: Sequence[Server]) -> None:
        self._name = name
        self._servers = servers
        self._chance = random.Random(name)
        self.accepted: list[str] = []
        self.repeated = 0
        self.is_stopping = False

    async def order(self) -> None:
        """Send one after the other."""
        for number in itertools.count():
            if self.is_stopping:
                return
            key = f"{self._name}{number}"
            while not await self._try(key):
                self.repeated += 1
                await anyio.sleep(0.02)
            self.accepted.append(key)

    async def _try(self, key: str) -> bool:
        server = self._chance.choice(self._servers)
        try:
            async with (
                server.client() as client,
                client.post("/orders", data=f"order {key}", headers={"Idempotency-Key": key}) as response,
            ):
                assert response.status in {200, 503}, await response.text()
                return response.status == 200
        except (aiohttp.ClientError, ConnectionError):
            return False


async def test_rolling_restart_under_load_loses_nothing_and_doubles_nothing(
    cluster: CorosyncCluster, tmp_path: Path
) -> None:
    """On three real nodes; clients repeat with the same key, pages come back wherever there is an instance."""
    sockets = [tmp_path / f"{node.nodeid}" for node in cluster.nodes]
    servers = [
        Server(node, web_servers.run_app("orders", socket), socket)
        for node, socket in zip(cluster.nodes, sockets, strict=True)
    ]
    try:
        for server in servers:
            await server.ready()
        pages = [Page(servers, first) for first in range(len(servers)) for _ in range(PAGES_EACH)]
        clients = [Client(name, servers) for name in "abcd"[:CLIENTS]]

        async def more() -> None:
            goal = accepted() + BETWEEN
            await until(lambda: accepted() >= goal)

        def accepted() -> int:
            return sum(len(client.accepted) for client in clients)

        async with anyio.create_task_group() as looking:
            for page in pages:
                looking.start_soon(page.look_on)
            await until(lambda: all(page.connections for page in pages))
            async with anyio.create_task_group() as ordering:
                for client in clients:
                    ordering.start_soon(client.order)
                await more()
                for server in servers:
                    await server.restart()
                    await more()
                for client in clients:
                    client.is_stopping = True
            keys = sorted(key for client in clients for key in client.accepted)
            with anyio.fail_after(PATIENCE):
                await until(lambda: all(len(page.orders) >= len(keys) for page in pages))
            looking.cancel_scope.cancel()
        lists = [[key for key, _ in page.orders] for page in pages]
        assert sorted(lists[0]) == keys
        assert all(one == lists[0] for one in lists)
        assert all(page.connections > 1 for page in pages)
        assert set().union(*(page.codes for page in pages)) == {1001}
        print(f"{len(keys)} orders, {sum(client.repeated for client in clients)} repeated")
        for server in servers:
            server.terminate()
            assert await server.ended() == 0
            assert "Traceback" not in server.log.read_text(), server.log.read_text()
    finally:
        for server in servers:
            server.kill()


async def test_order_that_is_repeated_counts_once(cluster: CorosyncCluster, tmp_path: Path) -> None:
    """Its place is that of the first time, whoever is asked; one without a key is refused."""
    sockets = [tmp_path / f"{node.nodeid}" for node in cluster.nodes[:2]]
    servers = [
        Server(node, web_servers.run_app("orders", socket), socket)
        for node, socket in zip(cluster.nodes, sockets, strict=False)
    ]
    try:
        places = []
        for server, key in zip([*servers, *servers], ["one", "one", "two", "one"], strict=True):
            await server.ready()
            async with server.client() as client:
                async with client.post("/orders", data=key, headers={"Idempotency-Key": key}) as response:
                    places.append((await response.json())["place"])
                async with client.post("/orders", data="x") as response:
                    assert response.status == 400
                async with client.get("/") as response:
                    assert "<!doctype html>" in await response.text()
        assert places == [1, 1, 2, 1]
    finally:
        for server in servers:
            server.kill()


def test_list_is_counted_as_the_counter_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A letter that is on its way to a newcomer is not changed by an order that comes meanwhile."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    from orders import Orders

    me = Address(1, 1)
    orders = Orders(me)
    letters = orders.view((me,), False)
    while letters:
        letters = [again for kind, *rest in letters for again in orders.letter(me, kind, *rest)]
    ((_, *added),) = orders.add(["k", "text"])
    orders.letter(me, "add", *added)
    ((*_, state),) = orders.letter(Address(1, 2), "ask", "t")
    orders.letter(me, "add", added[0], ["k2", "more"])
    orders.letter(me, "add", added[0], ["k", "again"])
    assert state == {"k": "text"}
    assert list(orders.value.items()) == [("k", "text"), ("k2", "more")]
