"""One generator, waited for by a thread and by coroutines."""

from __future__ import annotations

import threading

import anyio
import anyio.lowlevel
import pytest

from aiocpg.testing._waiting import Steps, in_thread, until, wait

pytestmark = pytest.mark.anyio


def counting(steps: int, ended: list[str]) -> Steps[str]:
    """Take so many steps; note that the end was reached, however."""
    try:
        for _ in range(steps):
            yield
        return "done"
    finally:
        ended.append("tidied")


def test_a_thread_gets_what_the_steps_return() -> None:
    """wait() is an ordinary call."""
    assert wait(counting(3, [])) == "done"


async def test_a_coroutine_gets_what_the_steps_return() -> None:
    """until() is the same for coroutines."""
    assert await until(counting(3, [])) == "done"


async def test_the_loop_runs_on_while_a_thread_is_waited_for() -> None:
    """Only another task can let the thread go on, so that task has run."""
    gate = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(opening, gate)
        assert await until(in_thread(lambda: gate.wait(30)))


async def opening(gate: threading.Event) -> None:
    await anyio.lowlevel.checkpoint()
    gate.set()


async def test_a_cancelled_wait_tidies_at_once() -> None:
    """Steps that would never end are closed."""
    ended: list[str] = []
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until, counting(10**9, ended))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert ended == ["tidied"]


def test_what_a_thread_raises_is_raised_to_the_one_who_waits() -> None:
    """A thread hides no error."""
    with pytest.raises(ZeroDivisionError):
        wait(in_thread(lambda: 1 // 0))
