"""Telling event loops: once for all that is due, from any thread, and finding out that one has ended."""

from __future__ import annotations

import asyncio
import contextvars
import threading

import pytest

from aiocpg._loop import current_port
from aiocpg.engine.memory._loops import _CALL_EVERY, LOCK, Loop
from support.running import in_thread, until

pytestmark = pytest.mark.anyio


def ignore(what: object) -> None:
    """Do nothing."""


async def test_callbacks_run_in_the_loop_in_order() -> None:
    """In a later turn, without the lock."""
    loop = Loop(current_port(), ignore)
    seen: list[object] = []
    with LOCK:
        for number in range(3):
            loop.call(lambda number=number: seen.append((number, threading.get_ident())), ignore)
    assert seen == []
    await until(lambda: len(seen) == 3)
    assert seen == [(number, threading.get_ident()) for number in range(3)]


async def test_callbacks_come_from_any_thread() -> None:
    """And wake a loop that has nothing else to do."""
    loop = Loop(current_port(), ignore)
    seen: list[int] = []

    def call() -> None:
        with LOCK:
            loop.call(lambda: seen.append(threading.get_ident()), ignore)

    await in_thread(call)
    await until(lambda: seen)
    assert seen == [threading.get_ident()]


async def test_callbacks_keep_the_context_of_their_loop() -> None:
    """That of the caller may be another kind of loop's."""
    who = contextvars.ContextVar("who", default="nobody")
    who.set("the loop")
    loop = Loop(current_port(), ignore)
    seen: list[str] = []

    def call() -> None:
        who.set("the caller")
        with LOCK:
            loop.call(lambda: seen.append(who.get()), ignore)

    contextvars.copy_context().run(call)
    await until(lambda: seen)
    assert seen[0] != "the caller"


async def test_callback_that_raises_harms_no_other() -> None:
    """Whoever gave it is told."""
    loop = Loop(current_port(), ignore)
    seen: list[object] = []
    error = LookupError()

    def fail() -> None:
        raise error

    with LOCK:
        loop.call(fail, seen.append)
        loop.call(lambda: seen.append("next"), seen.append)
    await until(lambda: len(seen) == 2)
    assert seen == [error, "next"]


def test_loop_that_has_ended_is_told_once() -> None:
    """Then it is left alone."""
    ended: list[Loop] = []

    async def make() -> Loop:
        return Loop(current_port(), ended.append)

    loop = asyncio.run(make())
    with LOCK:
        loop.call(lambda: None, ignore)
        loop.look()
    assert ended == [loop]


def test_loop_that_ends_while_it_is_called_is_found_out() -> None:
    """Now and then it is called again."""
    ended: list[Loop] = []

    async def make() -> Loop:
        loop = Loop(current_port(), ended.append)
        with LOCK:
            loop.call(lambda: None, ignore)
        return loop

    runner = asyncio.new_event_loop()
    loop = runner.run_until_complete(make())
    runner.close()
    for _ in range(_CALL_EVERY):
        with LOCK:
            loop.come()
    assert ended == [loop]


def test_program_that_is_being_ended_loses_no_callback() -> None:
    """What ends programs ends the loop's run; when it runs again the rest is called."""
    seen: list[object] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    async def make() -> None:
        loop = Loop(current_port(), ignore)
        with LOCK:
            loop.call(interrupt, ignore)
            loop.call(lambda: seen.append("next"), ignore)

    async def rest() -> None:
        await until(lambda: seen)

    runner = asyncio.new_event_loop()
    made = runner.create_task(make())
    with pytest.raises(KeyboardInterrupt):
        runner.run_forever()
    runner.run_until_complete(rest())
    runner.close()
    assert (made.done(), seen) == (True, ["next"])
