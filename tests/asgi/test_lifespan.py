"""Groups in ASGI applications: driven by hand, under Starlette, and under FastAPI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

import aiocpg
from aiocpg.asgi import connection_of, group_lifespan, group_of, liveness, readiness, with_lifespan
from aiocpg.testing import ClusterNode, MemoryCluster
from support.running import in_thread, until
from support.web import PATIENCE, fresh_world

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

App = Callable[..., Awaitable[None]]


class Server:
    """The least that a server does: it starts the application, asks it, and stops it."""

    def __init__(self, app: App, *, keeps_state: bool = True) -> None:
        self._app = app
        self._state: dict[str, Any] = {}
        self._keeps_state = keeps_state
        self._stopping = anyio.Event()
        self.said: list[MutableMapping[str, Any]] = []

    def _scope(self, kind: str, **fields: Any) -> dict[str, Any]:
        state = {"state": self._state if kind == "lifespan" else dict(self._state)} if self._keeps_state else {}
        return {"type": kind, "asgi": {"version": "3.0"}, **state, **fields}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Server]:
        """Start it and stop it."""
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._live)
                await until(lambda: self.said)
                yield self
                self._stopping.set()

    async def _live(self) -> None:
        inputs = iter(["lifespan.startup", "lifespan.shutdown"])

        async def receive() -> dict[str, str]:
            word = next(inputs)
            if word == "lifespan.shutdown":
                await self._stopping.wait()
            return {"type": word}

        async def send(message: MutableMapping[str, Any]) -> None:
            self.said.append(message)

        await self._app(self._scope("lifespan"), receive, send)

    async def get(self, path: str) -> tuple[int, bytes]:
        """Ask it; return the status and the body."""
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        scope = self._scope("http", method="GET", path=path, headers=[], query_string=b"")
        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent)


async def plain(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    """An application without a framework."""
    if scope["path"] == "/ready":
        await readiness(scope, receive, send)
        return
    receipt = await group_of(scope, "orders").mcast_confirmed(b"x")
    body = f"{receipt.position} at node {connection_of(scope).nodeid}"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})


async def starlette_handler(request: Request) -> PlainTextResponse:
    """The same for Starlette, and the names of groups as bytes."""
    receipt = await group_of(request, b"orders").mcast_confirmed(b"x")
    return PlainTextResponse(f"{receipt.position} at node {connection_of(request).nodeid}")


def of_starlette(url: str) -> App:
    """Starlette takes the lifespan, and probes as routes."""
    routes = [Route("/", starlette_handler), Route("/ready", readiness)]
    return Starlette(routes=routes, lifespan=group_lifespan("orders", "chat", url=url))


def of_fastapi(url: str) -> App:
    """FastAPI as well."""
    app = FastAPI(lifespan=group_lifespan("orders", "chat", url=url))
    app.add_route("/ready", readiness)

    @app.get("/")
    async def send(request: Request) -> PlainTextResponse:
        return await starlette_handler(request)

    # What FastAPI finds out about a handler it finds in its annotations.
    return app


def of_nothing(url: str) -> App:
    """No framework at all."""
    return with_lifespan(plain, group_lifespan("orders", "chat", url=url))


@pytest.mark.parametrize("make", [of_nothing, of_starlette, of_fastapi])
async def test_handlers_find_groups_from_start_to_end(make: Callable[[str], App]) -> None:
    """The same shape whatever the framework; at the end the group is left."""
    url = fresh_world()
    async with aiocpg.connect(url) as cpg:
        async with Server(make(url)).running() as server:
            assert server.said == [{"type": "lifespan.startup.complete"}]
            assert await server.get("/") == (200, b"1 at node 1")
            status, body = await server.get("/ready")
            assert (status, json.loads(body)["ready"]) == (200, True)
            assert set(await cpg.groups()) == {b"orders", b"chat"}
        assert server.said[-1] == {"type": "lifespan.shutdown.complete"}
        assert await cpg.groups() == {}


async def test_server_that_keeps_no_state_is_served_too() -> None:
    """``state`` is an extension of the protocol."""
    async with Server(of_nothing(fresh_world()), keeps_state=False).running() as server:
        assert await server.get("/") == (200, b"1 at node 1")


async def test_start_that_fails_is_told_to_the_server() -> None:
    """A server that hears nothing would take the application for one without a lifespan, and serve."""
    server = Server(of_nothing("corosync://wrong"))
    with pytest.raises(aiocpg.UsageError):
        await server._live()
    (failed,) = server.said
    assert failed["type"] == "lifespan.startup.failed"
    assert failed["message"].startswith("UsageError: ")


async def test_own_lifespan_takes_ours_in() -> None:
    """What it yields goes among the state of the application's own."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
        async with group_lifespan("orders", url=url)(app) as state:
            yield {**state, "answer": 42}

    async def handler(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.state.answer} {group_of(request, 'orders').name!r}")

    url = fresh_world()
    async with Server(Starlette(routes=[Route("/", handler)], lifespan=lifespan)).running() as server:
        assert await server.get("/") == (200, b"42 b'orders'")


async def test_group_that_is_not_there_is_named() -> None:
    """A wrong name, or a lifespan that was forgotten."""

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        with pytest.raises(aiocpg.UsageError, match="does not name 'chat'"):
            group_of(scope, "chat")
        with pytest.raises(aiocpg.UsageError, match="no group_lifespan"):
            group_of({"type": "http"}, "orders")
        await readiness(scope, receive, send)

    async with Server(with_lifespan(app, group_lifespan("orders", url=fresh_world()))).running() as server:
        assert (await server.get("/"))[0] == 200


def test_lifespan_without_a_group_is_refused() -> None:
    """It would connect for nothing."""
    with pytest.raises(TypeError, match="one or more groups"):
        group_lifespan(url="memory://nothing")


async def test_probes_tell_a_lost_connection() -> None:
    """Not ready, and only a restart helps."""

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        await (readiness if scope["path"] == "/ready" else liveness)(scope, receive, send)

    with MemoryCluster(nodes=1) as cluster:
        async with Server(with_lifespan(app, group_lifespan("orders", url=cluster.node(1).url))).running() as server:
            assert [(await server.get(path))[0] for path in ("/ready", "/live")] == [200, 200]
            cluster.node(1).kill()
            with anyio.fail_after(PATIENCE):
                while (await server.get("/ready"))[0] == 200:  # noqa: ASYNC110 - that is what this is for
                    await anyio.sleep(0.01)
            status, body = await server.get("/live")
            assert (status, json.loads(body)["reasons"]) == (503, ["the connection is over"])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("state", ["healthy", "dead", "stopped"])
async def test_shutdown_ends_in_time(state: str, fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two groups, one bound, whatever the daemon does."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: fresh_node.connect(**options))
    app = with_lifespan(plain, group_lifespan("orders", "chat", close_timeout=0.5))
    async with Server(app).running() as server:
        assert (await server.get("/"))[0] == 200
        if state == "dead":
            fresh_node.kill()
            await fresh_node.until_gone()
        elif state == "stopped":
            await in_thread(fresh_node.stop)
        with anyio.fail_after(0.5 + 25):  # without the bound it would take for ever
            server._stopping.set()
            await until(lambda: len(server.said) == 2)
    assert server.said[-1] == {"type": "lifespan.shutdown.complete"}
    if state == "stopped":
        fresh_node.cont()
