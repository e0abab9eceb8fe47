"""Groups from the start of an application to its end, which comes in time whatever the daemon does."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator, Callable

import anyio
import pytest
from aiohttp import web

import aiocpg
from aiocpg.aiohttp import CONNECTION, group_context, group_key
from aiocpg.testing import ClusterNode
from support.running import in_thread, until
from support.web import fresh_world, running, start

pytestmark = pytest.mark.anyio

on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""What takes seconds and does not depend on the loop."""

ORDERS = group_key("orders")
CLOSE_SECONDS = 1.0
SLACK = 25.0
"""Seconds that a shared machine may take on top of a bound; without the bound it would take for ever."""


@pytest.fixture
def on_node(node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> ClusterNode:
    """Let applications of this process connect to a node's daemon."""
    return connecting_to(node, monkeypatch)


def connecting_to(node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> ClusterNode:
    """Let ``aiocpg.connect`` lead to a node."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: node.connect(**options))
    return node


def application(*names: bytes | str, **options: object) -> web.Application:
    """Return an application in these groups."""
    app = web.Application()
    app.cleanup_ctx.append(group_context(*names, **options))  # type: ignore[arg-type] # tests know what they hand on
    return app


def test_key_is_the_same_for_a_name() -> None:
    """However it is spelled, and never that of another."""
    assert group_key("orders") is group_key(b"orders") is ORDERS
    assert group_key("chat") is not ORDERS


def test_context_without_a_group_is_refused() -> None:
    """It would connect for nothing."""
    with pytest.raises(TypeError, match="one or more groups"):
        group_context(url="memory://nothing")


@pytest.mark.usefixtures("no_leaks")
async def test_handlers_find_groups_and_connection() -> None:
    """Several groups, over one connection; a sub-application finds them in ``config_dict``."""

    async def post(request: web.Request) -> web.Response:
        receipt = await request.app[ORDERS].mcast_confirmed(await request.read())
        await request.app[group_key(b"chat")].mcast_confirmed(b"an order came")
        return web.Response(text=f"{receipt.position} at node {request.app[CONNECTION].nodeid}")

    async def members(request: web.Request) -> web.Response:
        return web.Response(text=str(len(request.config_dict[ORDERS].members)))

    app = application("orders", b"chat", url=fresh_world())
    app.router.add_post("/", post)
    inner = web.Application()
    inner.router.add_get("/members", members)
    app.add_subapp("/inner/", inner)
    async with running(app) as client:
        assert [await (await client.post("/", data=b"x")).text() for _ in range(2)] == ["1 at node 1", "2 at node 1"]
        assert await (await client.get("/inner/members")).text() == "1"
    with pytest.raises(aiocpg.GroupClosedError):
        await app[ORDERS].mcast(b"too late")


@pytest.mark.usefixtures("no_leaks")
async def test_others_see_the_application_join_and_leave(on_node: ClusterNode) -> None:
    """Leaving is in order: what a request has sent stands before it."""

    async def post(request: web.Request) -> web.Response:
        await request.app[ORDERS].mcast(await request.read())
        return web.Response()

    app = application("orders")
    app.router.add_post("/", post)
    # The same process, so the watcher has to be on another daemon or a looker-on: it asks who is there.
    async with on_node.connect() as cpg:
        async with running(app) as client:
            messages = app[ORDERS].messages()
            await client.post("/", data=b"accepted")
            assert app[ORDERS].me in await cpg.members("orders")
        assert await cpg.members("orders") == ()
    assert [message.data async for message in messages] == [b"accepted"]


@pytest.mark.usefixtures("no_leaks")
async def test_context_around_the_groups_is_left_after_them() -> None:
    """Contexts end in reverse, so what was there first may be used to the end."""
    order: list[str] = []

    def noting(name: str) -> Callable[[web.Application], AsyncIterator[None]]:
        async def context(app: web.Application) -> AsyncIterator[None]:
            yield
            order.append(f"{name}: {repr(app[ORDERS]).rpartition(' ')[2]}")

        return context

    app = web.Application()
    app.cleanup_ctx.extend([noting("before"), group_context("orders", url=fresh_world()), noting("behind")])
    async with running(app):
        pass
    assert order == ["behind: member>", "before: closed>"]


@pytest.mark.usefixtures("no_leaks")
async def test_application_has_one_context() -> None:
    """A second would have a connection that nobody finds."""
    url = fresh_world()
    app = application("orders", url=url)
    app.cleanup_ctx.append(group_context("chat", url=url))
    with pytest.raises(aiocpg.UsageError, match="name all groups in that one"):
        await start(app)


@on_asyncio
@pytest.mark.usefixtures("no_leaks")
async def test_start_without_a_daemon_fails_with_the_cure(
    fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong configuration shows at the start of a service."""
    connecting_to(fresh_node, monkeypatch)
    fresh_node.kill()
    await fresh_node.until_gone()
    with pytest.raises(aiocpg.EngineUnavailableError) as caught:
        await start(application("orders"))
    assert caught.value.cure


@on_asyncio
@pytest.mark.usefixtures("no_leaks")
async def test_start_fails_when_a_group_lets_nobody_in_in_time(
    fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A join that waits for ever would leave a service starting for ever."""

    def connect(url: str | None, **options: object) -> aiocpg.Opening[aiocpg.Connection]:
        async def open_() -> aiocpg.Connection:
            connection = await fresh_node.connect(**options)  # type: ignore[arg-type] # handed on
            await in_thread(fresh_node.stop)
            return connection

        return aiocpg.Opening(open_, "a connection to a daemon that then stops")

    monkeypatch.setattr(aiocpg, "connect", connect)
    with pytest.raises(aiocpg.EngineUnavailableError, match=r"b'orders' did not let us in within 0\.2 s") as caught:
        await start(application("orders", join_timeout=0.2, close_timeout=0.5))
    assert caught.value.transient
    fresh_node.cont()


def test_options_are_those_of_connect() -> None:
    """What ``connect`` learns, applications can say."""
    from aiocpg._service import ConnectOptions

    ours = set(inspect.signature(group_context).parameters) | set(ConnectOptions.__annotations__)
    assert ours - {"names", "options", "join_timeout", "max_buffered_bytes"} == set(
        inspect.signature(aiocpg.connect).parameters
    )


async def test_options_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """To ``connect`` and to ``join``, as they were given."""
    given: dict[str, object] = {}
    real = aiocpg.connect

    def connect(url: str | None, **options: object) -> aiocpg.Opening[aiocpg.Connection]:
        given.update(options, url=url)
        return real(url, **options)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(aiocpg, "connect", connect)
    url = fresh_world()
    policy = aiocpg.Reconnect(give_up_after=9)
    options = {"url": url, "connect_timeout": 3, "close_timeout": 2, "reconnect": policy, "stall_after": None}
    async with running(application("orders", max_buffered_bytes=1000, **options)) as client:
        assert given == options
        group = client.app[ORDERS]
        stream = group.messages()
        await group.mcast_many([bytes(900)] * 3)
        with pytest.raises(aiocpg.SlowConsumerError) as caught:
            async for _ in stream:
                pass
        assert caught.value.limit == 1000


@on_asyncio
@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("reconnect", [False, True], ids=["lost", "away"])
@pytest.mark.parametrize("state", ["healthy", "dead", "stopped"])
async def test_clean_up_ends_in_time(
    state: str,
    reconnect: bool,
    fresh_node: ClusterNode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three groups and one bound for all of them, whether the daemon is well, gone, or does not answer."""
    connecting_to(fresh_node, monkeypatch)
    app = application("orders", "chat", "third", reconnect=reconnect, close_timeout=CLOSE_SECONDS)
    async with running(app) as client:
        if state == "dead":
            fresh_node.kill()
            await fresh_node.until_gone()
            await until(lambda: not client.app[CONNECTION].health.is_connected)
        elif state == "stopped":
            await in_thread(fresh_node.stop)
        began = time.monotonic()
        with anyio.fail_after(CLOSE_SECONDS + SLACK):
            await client.server.close()
        print(f"{state}: {time.monotonic() - began:.2f} s")
    assert "closed" in repr(app[CONNECTION])
    if state == "stopped":
        fresh_node.cont()
