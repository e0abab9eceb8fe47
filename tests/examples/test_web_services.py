"""The examples for the web under the servers they are for, on a real node: run_app, gunicorn, uvicorn."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from aiocpg.testing import ClusterNode
from support import web_servers
from support.running import in_thread
from support.web import is_message, payloads, read, read_to_end, read_until
from support.web_servers import PATIENCE, Server

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

WORKERS = 3
LINES = 40


@asynccontextmanager
async def served(node: ClusterNode, command: list[str], socket: Path) -> AsyncIterator[Server]:
    """Run a server that is ready."""
    server = Server(node, command, socket)
    try:
        await server.ready()
        yield server
    finally:
        server.kill()


async def members(node: ClusterNode, count: int, without: int = 0) -> tuple[int, ...]:
    """Wait until so many processes are in the room, not this one among them; return their pids."""
    async with node.connect() as cpg:
        with anyio.fail_after(PATIENCE):
            while True:
                pids = tuple(member.pid for member in await cpg.members("room"))
                if len(pids) == count and without not in pids:
                    return pids
                await anyio.sleep(0.02)


async def say(client: aiohttp.ClientSession, line: str) -> Any:
    """Say something; it must be accepted."""
    async with client.post("/say", data=line, headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 200, await response.text()
        return await response.json()


async def say_too_much(client: aiohttp.ClientSession) -> None:
    """Say what no message can hold; it must be refused as what it is."""
    async with client.post("/say", data=b"x" * 1_048_000, headers={"Content-Type": "text/plain"}) as response:
        assert response.status == 413, await response.text()


@pytest.mark.parametrize("workers", [1, WORKERS], ids=["run_app", "gunicorn"])
async def test_aiohttp_example_serves_and_stops_in_order(workers: int, node: ClusterNode, tmp_path: Path) -> None:
    """Each worker is a member; all browsers see one order; SIGTERM closes them with 1001 and leaves the group."""
    socket = tmp_path / "socket"
    command = (
        web_servers.run_app("web_service", socket)
        if workers == 1
        else web_servers.gunicorn("web_service", socket, workers)
    )
    async with served(node, command, socket) as server, server.client() as client:
        pids = await members(node, workers)
        assert (server.process.pid in pids) == (workers == 1)
        async with client.get("/") as response:
            assert "<!doctype html>" in await response.text()
        browsers = [await client.ws_connect("/events", autoclose=False) for _ in range(6)]
        instances = {(await read(ws))["me"] for ws in browsers}
        assert instances <= {f"1:{pid}" for pid in pids}

        async def talk(name: str) -> None:
            for number in range(LINES):
                await say(client, f"{name}{number}")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(say_too_much, client)
            for name in "abc":
                tasks.start_soon(talk, name)
        await say(client, "last")
        seen = [payloads(await read_until(ws, is_message("last"))) for ws in browsers]
        assert len(set(map(tuple, seen))) == 1
        assert sorted(seen[0]) == sorted([*(f"{name}{number}" for name in "abc" for number in range(LINES)), "last"])
        server.terminate()
        for ws in browsers:
            assert (await read_to_end(ws))[1] == 1001
        assert await server.ended() == 0
        await members(node, 0)
        assert "Traceback" not in server.log.read_text()


async def test_worker_that_crashes_is_seen_to_go_and_another_comes(node: ClusterNode, tmp_path: Path) -> None:
    """gunicorn starts another one, which is a member of its own."""
    socket = tmp_path / "socket"
    async with served(node, web_servers.gunicorn("web_service", socket, WORKERS), socket) as server:
        victim = (await members(node, WORKERS))[0]
        os.kill(victim, signal.SIGKILL)
        assert victim not in await members(node, WORKERS, without=victim)
        async with server.client() as client:
            await say(client, "after the crash")
        server.terminate()
        assert await server.ended() == 0
    await members(node, 0)


async def test_request_in_progress_is_answered_by_a_server_that_stops(fresh_node: ClusterNode, tmp_path: Path) -> None:
    """The daemon stands still while SIGTERM comes; when it goes on, what was accepted is answered, and then the end."""
    socket = tmp_path / "socket"
    command = web_servers.run_app("web_service", socket)
    async with served(fresh_node, command, socket) as server, server.client() as client:
        browser = await client.ws_connect("/events", autoclose=False)
        await read(browser)
        answers = []

        async def post() -> None:
            answers.append(await say(client, "accepted"))

        await in_thread(fresh_node.stop)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            for _ in range(3):  # what it reads before it answers these has been read, too
                async with client.get("/") as response:
                    assert response.status == 200
            server.terminate()
            assert (await read_to_end(browser))[1] == 1001
            assert answers == []
            fresh_node.cont()
        assert answers == [{"position": 1}]
        assert await server.ended() == 0


async def test_fastapi_example_serves_and_stops_in_order(node: ClusterNode, tmp_path: Path) -> None:
    """The same room behind uvicorn, with browsers that look on while it stops."""
    socket = tmp_path / "socket"
    async with (
        served(node, web_servers.uvicorn("fastapi_service", socket), socket) as server,
        server.client() as client,
    ):
        await members(node, 1)
        browsers = [await client.ws_connect("/events", autoclose=False) for _ in range(3)]
        for number in range(LINES):
            await say(client, f"{number}")
        await say_too_much(client)
        async with node.connect() as cpg, cpg.join("room") as stranger:
            await stranger.mcast_confirmed(b"\xff")  # is shown as what it is not, and what follows is not lost
        await say(client, "last")
        for ws in browsers:
            with anyio.fail_after(PATIENCE):
                told = [json.loads(await ws.receive_str()) for _ in range(LINES + 2)]
            assert [one["line"] for one in told] == [*(f"{number}" for number in range(LINES)), "\ufffd", "last"]
        async with client.get("/live") as response:
            assert (await response.json())["live"] is True
        server.terminate()
        for ws in browsers:
            assert (await read_to_end(ws))[1] in {1001, 1012}
        assert await server.ended() in {0, -signal.SIGTERM}  # uvicorn raises the signal again when it is done
        await members(node, 0)
        assert "Traceback" not in server.log.read_text()
