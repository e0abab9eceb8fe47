"""The dashboard's server, over a cluster inside the process: what pages get, and what they may ask."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientWebSocketResponse, WSMsgType
from aiohttp.test_utils import TestClient, TestServer
from dashboard import requests
from dashboard.network import cutting
from dashboard.service import make_app

from aiocpg.testing import MemoryCluster

pytestmark = pytest.mark.asyncio

Frame = dict[str, Any]


class Page:
    """What a browser knows: the entries and the state, from the frames that came."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self.entries: list[Frame] = []
        self.state: Frame = {}

    async def until(self, holds: Callable[[Page], bool]) -> None:
        """Read on until something holds."""
        async with asyncio.timeout(30):
            while not self.state or not holds(self):
                message = await self._socket.receive()
                assert message.type is WSMsgType.TEXT, message
                self._take(json.loads(message.data))

    def _take(self, frame: Frame) -> None:
        match frame["type"]:
            case "begin":
                self.entries, self.state = frame["entries"], frame["state"]
            case "state":
                self.state = frame
            case "entry":
                self.entries.append(frame)

    @property
    def lines(self) -> list[str]:
        """The texts that are shown."""
        return [entry["text"] for entry in self.entries if entry["kind"] == "line"]

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return [member["name"] for member in self.state["members"]]


Clients = list[TestClient[Any, Any]]


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[MemoryCluster]:
    """Three nodes in the process."""
    with MemoryCluster(nodes=3) as cluster:
        yield cluster


@pytest_asyncio.fixture
async def clients(cluster: MemoryCluster, tmp_path: Path) -> AsyncIterator[Clients]:
    """An instance on each node, and somebody who can cut them off."""

    def cut(nodes: list[int]) -> None:
        if nodes:
            cluster.partition(nodes)
        else:
            cluster.heal()

    async with cutting(tmp_path / "network", cut), AsyncExitStack() as stack:
        clients = []
        for name, node in zip(("alice", "bob", "carol"), cluster.nodes, strict=True):
            app = make_app(name, url=node.url, network=tmp_path / "network")
            clients.append(await stack.enter_async_context(TestClient(TestServer(app))))
        yield clients


async def opened(client: TestClient[Any, Any]) -> Page:
    """Open a page and read until all three are there."""
    page = Page(await client.ws_connect("/events"))
    await page.until(lambda page: page.names == ["alice", "bob", "carol"])
    return page


async def test_page_shows_what_all_have_sent_in_one_order(clients: Clients) -> None:
    """Lines sent to three instances at once come to all three pages alike, and the members agree that they did."""
    pages = [await opened(client) for client in clients]
    bodies = [{"id": name, "lines": [f"{name}{number}" for number in range(20)]} for name in "abc"]
    answers = await asyncio.gather(
        *(client.post("/messages", json=body) for client, body in zip(clients, bodies, strict=True))
    )
    assert [answer.status for answer in answers] == [200] * 3
    for page in pages:
        await page.until(lambda page: len(page.lines) == 60)
        await page.until(lambda page: bool(page.state["check"]) and not page.state["check"]["missing"])
        assert page.state["check"]["same"]
    assert pages[0].lines == pages[1].lines == pages[2].lines


async def test_partition_shows_on_both_sides(clients: Clients) -> None:
    """Cut off, a node goes on alone; healed, all are back. What was sent in between stayed on its side."""
    alice, _, carol = pages = [await opened(client) for client in clients]
    assert (await clients[0].post("/network", json={"alone": [3]})).status == 204
    await alice.until(lambda page: page.names == ["alice", "bob"])
    await carol.until(lambda page: page.names == ["carol"])
    assert alice.state["ring"]["nodes"] == [1, 2]
    assert [(who["name"], who["reason"]) for who in alice.state["gone"]] == [("carol", "NODEDOWN")]
    assert (await clients[2].post("/messages", json={"id": "1", "lines": ["alone"]})).status == 200
    await carol.until(lambda page: page.lines == ["alone"])
    assert (await clients[2].post("/network", json={"alone": []})).status == 204
    assert (await clients[2].post("/messages", json={"id": "2", "lines": ["together"]})).status == 200
    for page in pages:
        await page.until(lambda page: page.lines[-1:] == ["together"])
        assert page.names == ["alice", "bob", "carol"]
    assert alice.lines == ["together"]


async def test_line_sent_again_elsewhere_is_shown_once(clients: Clients) -> None:
    """A client that got no answer tries another instance."""
    page = await opened(clients[1])
    for client in clients[:2]:
        assert (await client.post("/messages", json={"id": "same", "lines": ["once"]})).status == 200
    assert (await clients[0].post("/messages", json={"id": "other", "lines": ["last"]})).status == 200
    await page.until(lambda page: page.lines[-1:] == ["last"])
    assert page.lines == ["once", "last"]


async def test_503_says_what_is_not_known(
    clients: Clients, cluster: MemoryCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a daemon a line does not come back, and the answer is no 2xx; the page shows the gap."""
    monkeypatch.setattr(requests, "LIMIT", 0.1)
    page = await opened(clients[0])
    cluster.node(1).kill()
    assert (await clients[0].post("/messages", json={"id": "1", "lines": ["lost"]})).status == 503
    await page.until(lambda page: not page.state["connected"])
    assert page.entries[-1]["kind"] == "gap"
    assert (await clients[0].get("/ready")).status == 503
    cluster.node(1).start()
    await page.until(lambda page: page.names == ["alice", "bob", "carol"])


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/messages", {"lines": ["a"]}, 400),
        ("/messages", {"id": 1, "lines": ["a"]}, 400),
        ("/messages", {"id": "", "lines": ["a"]}, 400),
        ("/messages", {"id": "a b", "lines": ["a"]}, 400),
        ("/messages", {"id": "1", "lines": []}, 400),
        ("/messages", {"id": "1", "lines": ["a", 1]}, 400),
        ("/messages", {"id": "1", "lines": ["a" * 301]}, 400),
        ("/messages", {"id": "1", "lines": ["a"] * 1001}, 400),
        ("/messages", ["a"], 400),
        ("/network", {"alone": [True]}, 400),
        ("/network", {"alone": [9]}, 503),
    ],
)
async def test_request_that_cannot_be_done_is_refused(path: str, body: Any, status: int, clients: Clients) -> None:
    """With a word that says what was wanted."""
    answer = await clients[0].post(path, json=body)
    assert answer.status == status
    assert await answer.text()


async def test_other_sites_are_kept_out(clients: Clients) -> None:
    """A page from elsewhere can neither read the stream nor send by a form."""
    page = await clients[0].get("/events", headers={"Origin": "http://elsewhere.example"})
    assert page.status == 403
    assert (await clients[0].post("/messages", data={"lines": "a"})).status == 415
    assert (await clients[0].post("/messages", data="{", headers={"Content-Type": "application/json"})).status == 400


async def test_page_allows_nothing_but_its_own_files(clients: Clients) -> None:
    """The policy forbids code in the markup, and the markup has none."""
    answer = await clients[0].get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    markup = await answer.text()
    assert not re.search(r" (on\w+|style)=|javascript:|<style|<script(?! type=\"module\" src=)", markup)
    for path in ("page/dashboard.js", "page/style.css"):
        assert path in markup
        assert (await clients[0].get(f"/{path}")).status == 200


async def test_nobody_can_cut_where_nobody_owns_the_network(cluster: MemoryCluster) -> None:
    """A node of yours has no such handler, and its page is told so."""
    async with TestClient(TestServer(make_app("alone", url=cluster.node(1).url))) as client:
        assert (await client.post("/network", json={"alone": [1]})).status == 404
        page = Page(await client.ws_connect("/events"))
        await page.until(lambda page: page.names == ["alone"])
        assert page.state["network"] is False


async def test_nobody_at_the_socket_is_said(cluster: MemoryCluster, tmp_path: Path) -> None:
    """Whoever owned the network may have gone."""
    app = make_app("alone", url=cluster.node(1).url, network=tmp_path / "nobody")
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/network", json={"alone": [1]})
        assert answer.status == 503
        assert "nobody" in await answer.text()
