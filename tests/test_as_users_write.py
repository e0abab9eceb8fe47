"""
Tests in the shape our users write theirs: pytest-asyncio's fixtures, and aiohttp's application and test client.

Both open in one task and close in another, which no cancel scope or task group would survive.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

import aiocpg
from aiocpg.testing import ClusterNode

GROUP = web.AppKey("GROUP", aiocpg.Group)


@pytest_asyncio.fixture
async def group(node: ClusterNode) -> AsyncIterator[aiocpg.Group]:
    """Open and close a group the way a fixture does."""
    async with node.connect() as cpg, cpg.join("fixture") as group:
        yield group


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_leaks")
async def test_group_of_a_fixture_works_in_the_test(group: aiocpg.Group) -> None:
    """Opened by the fixture's task, used by the test's, closed by a third."""
    messages = group.messages()
    await group.mcast(b"hello")
    assert (await anext(messages)).data == b"hello"


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_leaks")
async def test_aiohttp_application_holds_a_group_from_start_to_clean_up(node: ClusterNode) -> None:
    """``cleanup_ctx`` joins in one task and leaves in another, handlers send in a third."""

    async def in_group(app: web.Application) -> AsyncIterator[None]:
        async with node.connect() as cpg, cpg.join("app") as app[GROUP]:
            yield

    async def post(request: web.Request) -> web.Response:
        receipt = await request.app[GROUP].mcast_confirmed(await request.read())
        return web.Response(text=str(receipt.position))

    app = web.Application()
    app.cleanup_ctx.append(in_group)
    app.router.add_post("/", post)
    async with TestClient(TestServer(app)) as client:
        answers = [await (await client.post("/", data=b"x")).text() for _ in range(3)]
    assert answers == ["1", "2", "3"]
    with pytest.raises(aiocpg.GroupClosedError):
        await app[GROUP].mcast(b"too late")


@pytest.mark.asyncio
async def test_nothing_is_warned_of_when_all_is_closed(node: ClusterNode) -> None:
    """A ResourceWarning is for what was forgotten."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cpg = await node.connect()
        group = await cpg.join("opened")
        await group.leave()
        await cpg.aclose()
