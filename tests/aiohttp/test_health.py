"""What probes are answered, while a real daemon is well, stopped, gone, and back."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from aiohttp import web

import aiocpg
from aiocpg import _service
from aiocpg.aiohttp import CONNECTION, group_context, group_key, liveness, readiness, websocket_fanout
from aiocpg.aiohttp._context import JOINED
from aiocpg.testing import ClusterNode
from support.running import PATIENCE, in_thread
from support.web import Client, fresh_world, running

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def application(**options: Any) -> web.Application:
    """Return an application with both probes."""
    app = web.Application()
    app.cleanup_ctx.append(group_context("orders", "chat", **options))
    app.router.add_get("/ready", readiness)
    app.router.add_get("/live", liveness)
    return app


async def ask(client: Client, path: str) -> tuple[int, Any]:
    """Return the status and the JSON of an answer."""
    async with client.get(path) as response:
        assert response.headers["Cache-Control"] == "no-store"
        return response.status, await response.json()


async def until_ready_is(client: Client, status: int) -> Any:
    """Wait for a status of the probe; return what it says."""
    with anyio.fail_after(PATIENCE):
        while True:
            found, body = await ask(client, "/ready")
            if found == status:
                return body
            await anyio.sleep(0.02)


async def test_answers_are_yes_while_all_is_well() -> None:
    """With what an operator wants to see."""
    async with running(application(url=fresh_world())) as client:
        status, body = await ask(client, "/ready")
        assert status == 200
        assert body["ready"] is True
        assert body["reasons"] == []
        assert body["groups"] == {name: {"state": "member", "members": 1} for name in ("orders", "chat")}
        ring = client.app[CONNECTION].health.ring
        assert ring is not None
        assert body["connection"] == {
            "node": 1,
            "connected": True,
            "away_for": 0,
            "stalled_for": 0,
            "reconnects": 0,
            "loop_lags": client.app[CONNECTION].lags,
            "ring": {"id": str(ring.ring_id), "nodes": [1]},
        }
        assert (await ask(client, "/live"))[0] == 200


async def test_group_that_was_left_is_a_reason_to_restart() -> None:
    """Nothing joins it again, so waiting for the service to be ready would take for ever."""
    async with running(application(url=fresh_world())) as client:
        await client.app[group_key("chat")].leave()
        for path in ("/ready", "/live"):
            status, body = await ask(client, path)
            assert (status, body["reasons"]) == (503, ["group chat: closed"])


async def test_group_of_ones_own_is_no_reason() -> None:
    """What was joined over the connection comes and goes as the application likes."""
    async with running(application(url=fresh_world())) as client:
        async with client.app[CONNECTION].join("own"):
            assert [(await ask(client, path))[0] for path in ("/ready", "/live")] == [200, 200]
        assert [(await ask(client, path))[0] for path in ("/ready", "/live")] == [200, 200]


async def test_application_that_stops_lives_and_is_not_ready() -> None:
    """A service manager that asks meanwhile need not end what is ending."""
    said: list[tuple[int, int]] = []

    async def late(app: web.Application) -> None:
        service = app[JOINED]
        said.append((_service.readiness(service).status, _service.liveness(service).status))

    app = application(url=fresh_world())
    app.on_cleanup.append(late)
    async with running(app):
        await late(app)
    assert said == [(200, 200), (503, 200)]


@on_asyncio
async def test_daemon_that_stands_still_is_not_ready(fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody sends, and it is noticed all the same; the process lives."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: fresh_node.connect(**options))
    async with running(application(stall_after=0.2)) as client:
        await in_thread(fresh_node.stop)
        body = await until_ready_is(client, 503)
        assert "has not answered for" in body["reasons"][0]
        assert (await ask(client, "/live"))[0] == 200
        await in_thread(fresh_node.cont)
        assert (await until_ready_is(client, 200))["reasons"] == []


@on_asyncio
async def test_daemon_that_is_come_back_to_is_away_meanwhile(
    fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not ready and alive; ready again when every group has us again."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: fresh_node.connect(**options))
    async with running(application(reconnect=True)) as client:
        fresh_node.kill()
        body = await until_ready_is(client, 503)
        assert "the daemon is away" in body["reasons"][0]
        assert body["connection"]["ring"] is None
        assert {group["state"] for group in body["groups"].values()} == {"away"}
        assert (await ask(client, "/live"))[0] == 200
        await fresh_node.until_gone()
        await in_thread(fresh_node.start)
        body = await until_ready_is(client, 200)
        assert body["connection"]["reconnects"] == 1


@on_asyncio
async def test_daemon_that_is_not_come_back_to_is_the_end(
    fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a restart helps, and liveness says so."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: fresh_node.connect(**options))
    async with running(application()) as client:
        fresh_node.kill()
        body = await until_ready_is(client, 503)
        assert body["reasons"] == ["the connection is over", "group orders: lost", "group chat: lost"]
        status, alive = await ask(client, "/live")
        # The loop may lag between the two.
        assert alive["connection"].pop("loop_lags") >= body["connection"].pop("loop_lags")
        assert (status, alive) == (
            503,
            {**body_without(body, "ready"), "live": False, "reasons": ["the connection is over"]},
        )
        await fresh_node.until_gone()


def body_without(body: dict[str, Any], key: str) -> dict[str, Any]:
    """Return an answer without one of its fields."""
    return {name: value for name, value in body.items() if name != key}


@on_asyncio
async def test_probe_without_groups_says_what_is_missing(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of the program, so the answer is 500; its log has the cure."""
    app = web.Application()
    app.router.add_get("/ready", readiness)
    async with running(app) as client, client.get("/ready") as response:
        assert response.status == 500
    assert "append one to its cleanup_ctx" in caplog.text


async def test_fan_out_that_has_ended_is_a_reason_to_restart() -> None:
    """Browsers get nothing from it any more, so neither should they come here, nor would waiting help."""

    def encode(event: aiocpg.Event, id: str) -> str | None:
        if isinstance(event, aiocpg.Message):
            raise ValueError("a mistake")
        return None

    app = application(url=fresh_world())
    websocket_fanout(app, "orders", encode=encode)
    async with running(app) as client:
        assert (await ask(client, "/ready"))[0] == 200
        await app[group_key("orders")].mcast(b"x")
        assert "fan-out of 'orders' has ended" in (await until_ready_is(client, 503))["reasons"][0]
        assert (await ask(client, "/live"))[0] == 503
