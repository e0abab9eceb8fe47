"""Which loop runs here."""

from __future__ import annotations

import asyncio

import pytest
import trio

from aiocpg._loop import LoopPort, current_port
from aiocpg._loop._trio import TrioPort


def test_there_is_no_port_without_a_loop() -> None:
    """What opens anything is called in a coroutine."""
    with pytest.raises(RuntimeError):
        current_port()


def test_trio_as_a_guest_of_asyncio_is_trio() -> None:
    """Then two loops run in one thread, and the task at hand is trio's."""

    async def host() -> type[LoopPort]:
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[type[LoopPort]] = loop.create_future()

        async def guest() -> type[LoopPort]:
            await trio.lowlevel.checkpoint()
            return type(current_port())

        trio.lowlevel.start_guest_run(
            guest,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda done: outcome.set_result(done.unwrap()),
        )
        return await outcome

    assert asyncio.run(host()) is TrioPort
