"""A group in browsers: the same order in all, going on after a break, an end that is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest
from aiohttp import ClientWebSocketResponse, WSServerHandshakeError, web

import aiocpg
from aiocpg.aiohttp import CONNECTION, Fanout, group_context, group_key, websocket_fanout
from aiocpg.aiohttp._words import GOING_AWAY
from aiocpg.testing import ClusterNode, MemoryCluster
from support.running import in_thread, until
from support.web import (
    PATIENCE,
    Client,
    fresh_world,
    is_message,
    payloads,
    read,
    read_to_end,
    read_until,
    running,
    start,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

ORDERS = group_key("orders")
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def application(
    url: str | None = None, *, reconnect: bool = False, **options: Any
) -> tuple[web.Application, Fanout[Any]]:
    """Return an application that shows a group, and what shows it."""
    app = web.Application()
    app.cleanup_ctx.append(group_context("orders", url=url or fresh_world(), reconnect=reconnect, close_timeout=1))
    fanout = websocket_fanout(app, "orders", **options)
    app.router.add_get("/events", fanout.handler)
    return app, fanout


async def greeted(client: Client, after: str | None = None) -> tuple[ClientWebSocketResponse, Any]:
    """Connect a browser; return it and its greeting."""
    ws = await client.ws_connect("/events", params={} if after is None else {"after": after}, autoclose=False)
    return ws, await read(ws)


async def daemon_in_greeting(client: Client) -> Any:
    """Connect a browser for a moment; return what it is told of the daemon."""
    ws, hello = await greeted(client)
    await ws.close()
    return hello["daemon"]


async def until_all_is_told(client: Client, fanout: Fanout[Any], text: str) -> None:
    """Send a message and wait until the fan-out has it, by a browser that looks on."""
    ws, _ = await greeted(client)
    await client.app[ORDERS].mcast(text.encode())
    await read_until(ws, is_message(text))
    await ws.close()


async def test_all_browsers_of_all_instances_see_one_order() -> None:
    """Three instances on three nodes, two browsers each, everybody sends."""
    with MemoryCluster(nodes=3) as cluster:
        apps = [application(node.url)[0] for node in cluster.nodes]
        async with running(apps[0]) as a, running(apps[1]) as b, running(apps[2]) as c:
            clients = (a, b, c)
            browsers = [(await greeted(client))[0] for client in clients for _ in range(2)]

            async def send(client: Client, name: str) -> None:
                for number in range(30):
                    await client.app[ORDERS].mcast_confirmed(f"{name}{number}".encode())

            async with anyio.create_task_group() as tasks:
                for client, name in zip(clients, "abc", strict=True):
                    tasks.start_soon(send, client, name)
            await a.app[ORDERS].mcast(b"last")
            seen = [payloads(await read_until(ws, is_message("last"))) for ws in browsers]
    assert len(set(map(tuple, seen))) == 1
    assert sorted(seen[0][:-1]) == sorted(f"{name}{number}" for name in "abc" for number in range(30))


async def test_browser_sees_members_come_and_go() -> None:
    """Views are events like messages, at their place among them."""
    with MemoryCluster(nodes=2) as cluster:
        async with running(application(cluster.node(1).url)[0]) as client:
            ws, hello = await greeted(client)
            me = str(client.app[ORDERS].me)
            await read_until(ws, lambda told: told["type"] == "view") if hello["view"] is None else None
            async with aiocpg.connect(cluster.node(2).url) as cpg, cpg.join("orders") as other:
                came = (await read_until(ws, lambda told: told["type"] == "view"))[-1]
                assert (came["members"], came["joined"]) == ([me, str(other.me)], {str(other.me): "JOIN"})
            went = (await read_until(ws, lambda told: told["type"] == "view"))[-1]
            assert (went["members"], went["left"]) == ([me], {str(other.me): "LEAVE"})


async def test_browser_goes_on_where_it_was() -> None:
    """With the id of the last it had: the rest, nothing twice."""
    app, fanout = application()
    async with running(app) as client:
        ws, _ = await greeted(client)
        await app[ORDERS].mcast(b"seen")
        had = (await read_until(ws, is_message("seen")))[-1]["id"]
        await ws.close()
        for text in ("missed", "meanwhile"):
            await until_all_is_told(client, fanout, text)
        ws, hello = await greeted(client, after=had)
        assert (hello["continues"], hello["id"]) == (True, had)
        assert payloads(await read_until(ws, is_message("meanwhile"))) == ["missed", "meanwhile"]


async def test_browser_that_was_away_too_long_is_told_of_the_gap() -> None:
    """What it missed is not kept any more; it begins anew, with the state if there is one."""
    app, fanout = application(max_backlog_bytes=2000, snapshot=lambda: '{"type":"state"}')
    async with running(app) as client:
        ws, hello = await greeted(client)
        await ws.close()
        for number in range(10):
            await until_all_is_told(client, fanout, f"{number}" * 300)
        ws, again = await greeted(client, after=hello["id"])
        assert again["continues"] is False
        assert [(await read(ws))["type"] for _ in range(2)] == ["gap", "state"]


async def test_id_of_another_instance_is_a_gap() -> None:
    """Positions are each member's own; going on there would skip or repeat in silence."""
    one, other = application()[0], application()[0]
    async with running(one) as first, running(other) as second:
        _, hello = await greeted(first)
        ws, _ = await greeted(second, after=hello["id"])
        assert (await read(ws))["type"] == "gap"


async def test_state_and_changes_fit_together_without_a_gap() -> None:
    """A source that keeps state as it goes: snapshot and changes make the whole, whenever a browser comes."""
    total = 0

    async def sums(group: aiocpg.Group) -> AsyncIterator[int]:
        nonlocal total
        async for message in group.messages():
            total += int(message.data)
            yield total

    app, _ = application(
        source=sums,
        encode=lambda total, id: f'{{"type":"total","is":{total},"id":"{id}"}}',
        snapshot=lambda: f'{{"type":"state","is":{total}}}',
    )
    async with running(app) as client, anyio.create_task_group() as tasks:

        async def send() -> None:
            for _ in range(200):
                await app[ORDERS].mcast_confirmed(b"1")

        tasks.start_soon(send)
        for _ in range(10):
            ws, _ = await greeted(client)
            seen = [(await read(ws))["is"]]
            while seen[-1] < 200 and len(seen) < 20:
                seen.append((await read(ws))["is"])
            assert seen == list(range(seen[0], seen[0] + len(seen)))
            await ws.close()


async def test_shutdown_tells_what_was_accepted_and_closes_before_the_group_is_left() -> None:
    """A browser sees the answer to what was sent, then 1001; no view without us."""
    app, fanout = application()

    async def post(request: web.Request) -> web.Response:
        await request.app[ORDERS].mcast_confirmed(await request.read())
        return web.Response()

    app.router.add_post("/", post)
    async with running(app) as client:
        ws, _ = await greeted(client)
        await client.post("/", data=b"accepted")
        name, _, number = (await read_until(ws, is_message("accepted")))[-1]["id"].rpartition("-")
        for text in range(50):
            await app[ORDERS].mcast(f"{text}".encode())
        await until(lambda: fanout.last_id == f"{name}-{int(number) + 50}")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.server.close)
            told, code = await read_to_end(ws)
        assert code == 1001
        assert [one.get("payload") for one in told] == [f"{text}" for text in range(50)]
        assert fanout.browsers == 0


async def test_shutdown_waits_for_no_browser_that_reads() -> None:
    """
    A browser closes the connection when the server has, and not before.

    What it sends, its close frame too, a server that stops does not read.
    """
    app, _ = application(close_timeout=2 * PATIENCE)
    async with running(app) as client:
        reader, writer = await raw_browser(client, "/events")
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.server.close)
                assert (await reader.read()).endswith(GOING_AWAY.reason.encode())
                writer.close()


async def test_all_fanouts_drain_at_the_same_time() -> None:
    """A browser of one that does not close is not waited for by those of the others: one bound holds for all."""
    app = web.Application()
    app.cleanup_ctx.append(group_context("orders", "chat", url=fresh_world()))
    for name in ("orders", "chat"):
        fanout = websocket_fanout(app, name, close_timeout=2 * PATIENCE)
        app.router.add_get(f"/{name}", fanout.handler)
    async with running(app) as client:
        _, writer = await raw_browser(client, "/orders")
        ws = await client.ws_connect("/chat", autoclose=False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.server.close)
            assert (await read_to_end(ws))[1] == 1001
            writer.close()


async def test_sources_that_do_not_end_are_stopped_at_the_same_time() -> None:
    """Each goes when it sees the other go."""
    stopping = {name: anyio.Event() for name in ("orders", "chat")}

    def endless(name: str, other: str) -> Callable[[aiocpg.Group], AsyncIterator[str]]:
        async def source(group: aiocpg.Group) -> AsyncIterator[str]:
            try:
                await anyio.sleep_forever()
                yield ""
            finally:
                stopping[name].set()
                await stopping[other].wait()

        return source

    app = web.Application()
    app.cleanup_ctx.append(group_context(*stopping, url=fresh_world()))
    for name, other in zip(stopping, reversed(stopping), strict=True):
        websocket_fanout(app, name, source=endless(name, other), encode=lambda item, id: item, close_timeout=0.1)
    async with running(app):
        pass
    assert all(event.is_set() for event in stopping.values())


async def raw_browser(client: Client, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect a browser that does nothing by itself, and read its greeting."""
    reader, writer = await asyncio.open_connection(client.server.host, client.server.port)
    headers = "Host: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    writer.write(f"GET {path} HTTP/1.1\r\n{headers}Sec-WebSocket-Key: {'A' * 22}==\r\n\r\n".encode())
    await reader.readuntil(b'"type":"hello"')
    return reader, writer


async def test_request_in_progress_is_answered_when_the_application_stops() -> None:
    """It was accepted, so it is in the order before our departure."""
    app, _ = application()
    entered, go_on = anyio.Event(), anyio.Event()

    async def post(request: web.Request) -> web.Response:
        entered.set()
        await go_on.wait()
        receipt = await request.app[ORDERS].mcast_confirmed(b"x")
        return web.Response(text=f"{receipt.position}")

    app.router.add_post("/", post)
    async with running(app) as client, anyio.create_task_group() as tasks:

        async def send() -> None:
            assert await (await client.post("/")).text() == "1"

        async def stop() -> None:
            await client.server.close()

        tasks.start_soon(send)
        await entered.wait()
        tasks.start_soon(stop)
        await anyio.sleep(0.05)
        go_on.set()


async def test_group_that_is_left_while_browsers_look_on_is_told() -> None:
    """The application has left it by itself: the end without an error, for those there and for those who come."""
    app, _ = application()
    async with running(app) as client:
        ws, _ = await greeted(client)
        await app[ORDERS].leave()
        told, code = await read_to_end(ws)
        assert (told[-1]["type"], told[-1]["error"], code) == ("end", None, 1001)
        late, _ = await greeted(client)
        told, code = await read_to_end(late)
        assert ([one["type"] for one in told], code) == (["end"], 1001)


@on_asyncio
@pytest.mark.parametrize("reconnect", [False, True], ids=["for good", "for a while"])
async def test_loss_of_the_daemon_is_told(
    reconnect: bool, fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For good: the error and 1011. For a while: ``away``, and the view in which we are again, on the same socket."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: fresh_node.connect(**options))
    app, fanout = application(reconnect=reconnect)
    async with running(app) as client:
        await until_all_is_told(client, fanout, "before")
        ws, _ = await greeted(client)
        fresh_node.kill()
        if not reconnect:
            told, code = await read_to_end(ws)
            assert (told[-1]["type"], told[-1]["error"], code) == ("end", "ConnectionLostError", 1011)
            late, _ = await greeted(client)
            assert (await read(late))["error"] == "ConnectionLostError"
            return
        await read_until(ws, lambda told: told["type"] == "away")
        late, hello = await greeted(client)
        assert (hello["daemon"], hello["view"]) == ("away", None)
        await fresh_node.until_gone()
        await in_thread(fresh_node.start)
        me = str(app[ORDERS].me)
        for browser in (ws, late):
            back = await read_until(browser, lambda told: told["type"] == "view")
            assert me in back[-1]["joined"]


@on_asyncio
async def test_daemon_that_stands_still_is_told(fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """``stalled`` and ``resumed``, and whoever connects in between hears it in the greeting."""

    def connect(url: str | None, **options: Any) -> aiocpg.Opening[aiocpg.Connection]:
        return fresh_node.connect(**{**options, "stall_after": 0.2})

    monkeypatch.setattr(aiocpg, "connect", connect)
    app, fanout = application()
    async with running(app) as client:
        await until_all_is_told(client, fanout, "before")
        ws, _ = await greeted(client)
        await in_thread(fresh_node.stop)
        await read_until(ws, lambda told: told["type"] == "stalled")
        # A machine that stood still may have made the daemon silent before, too, and for a moment only.
        with anyio.fail_after(PATIENCE):
            while await daemon_in_greeting(client) != "stalled":  # noqa: ASYNC110 - it is not told again
                await anyio.sleep(0.02)
        await in_thread(fresh_node.cont)
        await read_until(ws, lambda told: told["type"] == "resumed")


async def test_fault_of_the_encoder_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in an application must not look like a quiet group."""

    def encode(event: aiocpg.Event, id: str) -> str | None:
        if isinstance(event, aiocpg.Message):
            raise ValueError("a mistake")
        return None

    app, _ = application(encode=encode)
    async with running(app) as client:
        ws, _ = await greeted(client)
        await app[ORDERS].mcast(b"x")
        told, code = await read_to_end(ws)
    assert ("fault in this instance" in told[-1]["reason"], code) == (True, 1011)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "a mistake" in str(record.exc_info[1])


async def test_request_without_a_handshake_is_refused() -> None:
    """A plain GET is not a WebSocket."""
    app, fanout = application()
    async with running(app) as client:
        assert (await client.get("/events")).status == 400
        with pytest.raises(WSServerHandshakeError):
            await client.ws_connect("/events", method="POST")
        assert fanout.browsers == 0


async def test_browser_that_sends_too_much_is_closed() -> None:
    """What browsers send is not read, so it need not be large."""
    app, fanout = application()
    async with running(app) as client:
        ws, _ = await greeted(client)
        await ws.send_str("x" * 5000)
        assert (await read_to_end(ws))[1] == 1009
        await until(lambda: fanout.browsers == 0)


async def test_fanout_of_a_group_that_is_not_joined_ends_the_start() -> None:
    """Its name is wrong, or the context missing."""
    app = web.Application()
    app.cleanup_ctx.append(group_context("orders", url=fresh_world()))
    websocket_fanout(app, "order")
    with pytest.raises(aiocpg.UsageError, match="does not name 'order'"):
        await start(app)


async def test_two_fanouts_show_two_groups() -> None:
    """Over the one connection of the application, and it does not matter which is named first."""
    app = web.Application()
    for name in ("orders", "chat"):
        app.router.add_get(f"/{name}", websocket_fanout(app, name).handler)
    app.cleanup_ctx.append(group_context("orders", "chat", url=fresh_world()))
    async with running(app) as client:
        assert app[CONNECTION].nodeid == 1
        for name in ("orders", "chat"):
            ws = await client.ws_connect(f"/{name}")
            assert (await read(ws))["group"] == name
            await app[group_key(name)].mcast(name.encode())
            assert payloads(await read_until(ws, is_message(name))) == [name]


async def test_heartbeat_ends_a_browser_that_does_not_answer() -> None:
    """A laptop that was closed: no FIN ever comes."""
    app, fanout = application(heartbeat=0.1)
    async with running(app) as client:
        ws = await client.ws_connect("/events", autoping=False)
        await until(lambda: fanout.browsers == 1)
        await until(lambda: fanout.browsers == 0)
        await ws.close()
