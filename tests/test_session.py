"""A session's end: the loop's, the daemon's or ours; and the warning where nobody closed it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from pathlib import Path
from typing import Any

import anyio
import pytest

from aiocpg import AlreadyJoinedError, Connection, ConnectionClosedError, ConnectionLostError, Reconnect
from aiocpg._link import Return
from aiocpg._loop import current_port
from aiocpg._session import Session
from aiocpg.testing import ClusterNode
from support.handles import finish, python
from support.loops import Backend
from support.running import run_in, turns, until
from support.undelivered import UndeliveringEngine

pytestmark = pytest.mark.anyio

CONNECTED = "was still open when its event loop ended; opened at {}:{}"
JOINED = "group b'left open' was still open when its event loop ended; joined at {}:{}"


async def never() -> UndeliveringEngine:
    """Open no other engine."""
    raise AssertionError("nobody waits for so long")


def line_of(text: str) -> int:
    """Return the number of the only line of this file that ends so."""
    lines = Path(__file__).read_text().splitlines()
    (number,) = [number for number, line in enumerate(lines, 1) if line.endswith(text)]
    return number


def warned(caught: list[warnings.WarningMessage]) -> list[str]:
    """Return the texts of the ResourceWarnings about ours."""
    texts = [str(one.message) for one in caught if issubclass(one.category, ResourceWarning)]
    return [text for text in texts if "connection" in text or "group" in text or "rings()" in text]


async def test_join_under_way_is_told_of_the_close() -> None:
    """Nobody holds the group yet, so it is the connection that was closed; the membership is given up."""
    engine = UndeliveringEngine()
    session = Session(engine, current_port(), "here")

    async def join() -> None:
        with pytest.raises(ConnectionClosedError):
            await session.join(b"group", 0, "here")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(join)
        await until(lambda: engine.memberships)
        await session.aclose(30)
    assert "abandon" in engine.memberships[0].calls


def test_what_is_open_when_the_loop_ends_is_told_with_its_place(
    anyio_backend: Backend, node: ClusterNode, no_leaks: None
) -> None:
    """``file:line`` of the connect and of the join, and everything is given back."""

    async def main() -> None:
        cpg = await node.connect()  # opened
        kept.append(cpg)
        group = await cpg.join("left open")  # joined
        kept.append(group.views())  # read
        kept.append(cpg.rings())  # watched

    kept: list[Any] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_in(anyio_backend, main)
    connected = CONNECTED.format(__file__, line_of("# opened"))
    assert warned(caught) == [
        JOINED.format(__file__, line_of("# joined")),
        "views() of group b'left open' " + CONNECTED.format(__file__, line_of("# read")),
        "rings() " + CONNECTED.format(__file__, line_of("# watched")),
        f"a connection {connected}",
    ]
    assert repr(kept[0]) == "<Connection node 1 closed>"


def test_connection_that_is_away_when_the_loop_ends_is_told_too(anyio_backend: Backend) -> None:
    """Loops cancel the task that was to come back before they say that they end."""

    async def main() -> None:
        session = Session(UndeliveringEngine(), current_port(), "here", Return(Reconnect(60, 60), never))
        session.link.on_lost(ConnectionLostError("gone"))
        await turns()
        kept.append(session)

    kept: list[Session] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run_in(anyio_backend, main)
    assert warned(caught) == ["a connection was still open when its event loop ended; opened at here"]


async def test_group_that_is_open_cannot_be_joined_again() -> None:
    """Whatever its engine knows: the one that comes next knows nothing of it."""
    engine = UndeliveringEngine()
    session = Session(engine, current_port(), "here", Return(Reconnect(60, 60), never))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(session.join, b"group", 0, "here")
        await until(lambda: engine.memberships)
        await turns()
        with pytest.raises(AlreadyJoinedError):
            await session.join(b"group", 0, "here")
        tasks.cancel_scope.cancel()
    session.abandon()


def test_everything_is_given_back_even_if_warnings_are_errors(
    anyio_backend: Backend, node: ClusterNode, no_leaks: None
) -> None:
    """As they are in many test suites."""

    async def main() -> None:
        cpg = await node.connect()
        await cpg.join("left open")
        kept.append(cpg)

    kept: list[Connection] = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with contextlib.suppress(ResourceWarning):  # a loop may raise or log it
            run_in(anyio_backend, main)
    assert repr(kept[0]) == "<Connection node 1 closed>"


def test_nothing_is_told_of_what_was_closed(anyio_backend: Backend, node: ClusterNode) -> None:
    """Also behind an error."""

    async def main() -> None:
        async with node.connect() as cpg, cpg.join("group"):
            raise KeyError

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(KeyError):
            run_in(anyio_backend, main)
    assert warned(caught) == []


def test_connection_of_a_loop_that_was_thrown_away_is_told_too(node: ClusterNode, no_leaks: None) -> None:
    """Nobody shut that loop down, so only the collector notices."""

    async def main() -> None:
        kept.append(await node.connect())

    kept: list[Connection] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kept.clear()
        del loop
        gc.collect()
    assert [text.partition(";")[0] for text in warned(caught)] == ["a connection was never closed"]


PROGRAM = """
import anyio, sys
from aiocpg import connect

async def main():
    cpg = await connect()
    group = await cpg.join("forgotten")
    if sys.argv[2] == "wait":
        await anyio.sleep_forever()

backend, _, uvloop = sys.argv[1].partition("+")
anyio.run(main, backend=backend, backend_options={"use_uvloop": True} if uvloop else {})
"""


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
def test_program_that_forgot_to_close_ends(node: ClusterNode, loop: str) -> None:
    """With warnings switched on it says so on stderr; nothing hangs."""
    process = python("import warnings; warnings.simplefilter('always')\n" + PROGRAM, loop, "end", node=node)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 0, error
    assert "ResourceWarning: a connection was still open" in error
    assert "ResourceWarning: group b'forgotten' was still open" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
def test_program_that_closes_says_nothing(node: ClusterNode, loop: str) -> None:
    """No warning, no log line."""
    closing = PROGRAM.replace("    if sys", "    await cpg.aclose()\n    if sys")
    process = python("import warnings; warnings.simplefilter('error')\n" + closing, loop, "end", node=node, stderr=None)
    finish(process)
