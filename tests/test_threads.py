"""Blocking calls on threads: waited for, cancelled, failed from outside, and never in the way."""

from __future__ import annotations

import pickle
import threading
from typing import NoReturn

import anyio
import pytest

from aiocpg import EngineUnavailableError
from aiocpg._loop import LoopPort, current_port
from aiocpg._threads import BlockingCall, start_thread
from support.handles import finish, python
from support.loops import Backend
from support.running import run_in, until

pytestmark = pytest.mark.anyio


class Job:
    """
    A call that returns when it is told to.

    Attributes:
        abandoned: How often nobody was said to wait any more.
        discarded: Results that nobody waited for.
    """

    def __init__(self) -> None:
        self.started = threading.Event()
        self.may_return = threading.Event()
        self.abandoned = 0
        self.discarded: list[str] = []

    def run(self) -> str:
        """Wait, then answer."""
        self.started.set()
        assert self.may_return.wait(30)
        return "answer"

    def abandon(self) -> None:
        """Count."""
        self.abandoned += 1

    def call(self, port: LoopPort) -> BlockingCall[str]:
        """Return this job as a call."""
        return BlockingCall(port, self.run, "job", abandon=self.abandon, discard=self.discarded.append)


def fail() -> NoReturn:
    """Raise."""
    raise KeyError("no")


async def test_call_gives_its_result_while_the_loop_goes_on() -> None:
    """It runs on a daemon thread with a name of ours."""
    port = current_port()
    thread = await BlockingCall(port, threading.current_thread, "look").wait()
    assert thread is not threading.main_thread()
    assert (thread.name, thread.daemon) == ("aiocpg-look", True)


async def test_call_raises_what_the_job_raised() -> None:
    """In the task that waits."""
    with pytest.raises(KeyError, match="no"):
        await BlockingCall(current_port(), fail, "fail").wait()


@pytest.mark.usefixtures("no_leaks")
async def test_cancelled_call_is_abandoned_and_its_result_discarded() -> None:
    """The waiter goes at once, the thread when it can; it tidies up by itself."""
    job = Job()
    with anyio.move_on_after(30) as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(job.call(current_port()).wait)
            await until(job.started.is_set)
            tasks.cancel_scope.cancel()
    assert not scope.cancelled_caught
    assert (job.abandoned, job.discarded) == (1, [])
    job.may_return.set()
    await until(lambda: job.discarded == ["answer"])


async def test_failed_call_raises_the_given_error_at_once() -> None:
    """That is how a loss reaches whoever waits for the daemon; the first failure counts."""
    job = Job()
    call = job.call(current_port())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expect, call, "lost")
        await until(job.started.is_set)
        call.fail(KeyError("lost"))
        call.fail(KeyError("late"))
    assert job.abandoned == 1
    job.may_return.set()
    await until(lambda: job.discarded == ["answer"])


async def expect(call: BlockingCall[str], error: str) -> None:
    """Wait for a call that fails."""
    with pytest.raises(KeyError, match=error):
        await call.wait()


async def test_failing_a_call_that_has_returned_does_nothing() -> None:
    """Its result was handed out."""
    call = BlockingCall(current_port(), lambda: "answer", "job")
    assert await call.wait() == "answer"
    call.fail(KeyError("late"))


async def test_result_that_comes_with_the_cancellation_is_discarded() -> None:
    """A handle opened in the last moment must not stay open."""
    job = Job()
    job.may_return.set()
    call = job.call(current_port())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await call.wait()
    await until(lambda: job.discarded == ["answer"])


async def test_error_that_nobody_waits_for_is_dropped() -> None:
    """There is nothing to tidy up."""
    discarded: list[object] = []
    released = threading.Event()

    def run() -> NoReturn:
        assert released.wait(30)
        fail()

    with anyio.CancelScope() as scope:
        scope.cancel()
        await BlockingCall(current_port(), run, "fail", discard=discarded.append).wait()
    released.set()
    await until(lambda: not any(thread.name == "aiocpg-fail" for thread in threading.enumerate()))
    assert discarded == []


def test_result_is_discarded_when_the_loop_has_ended(anyio_backend: Backend) -> None:
    """The thread finds nobody to tell."""
    job = Job()

    async def main() -> None:
        call = job.call(current_port())
        start_thread(call._run, "job")

    run_in(anyio_backend, main)
    job.may_return.set()
    for thread in threading.enumerate():
        if thread.name == "aiocpg-job":
            thread.join(30)
    assert job.discarded == ["answer"]


async def test_thread_that_cannot_be_had_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call was not made, and it may be tried again."""

    def start(thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(EngineUnavailableError, match="no thread could be started") as caught:
        await BlockingCall(current_port(), fail, "fail").wait()
    assert caught.value.transient
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_stuck_call_does_not_keep_the_interpreter_from_exiting() -> None:
    """anyio's own worker threads do."""
    finish(
        python(
            """
import anyio, threading
from aiocpg._loop import current_port
from aiocpg._threads import BlockingCall

async def main():
    with anyio.move_on_after(0.01):
        await BlockingCall(current_port(), threading.Event().wait, "stuck").wait()

anyio.run(main)
"""
        )
    )
