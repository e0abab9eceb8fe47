"""Coming back: what is tried again, what ends it, and that nothing is told once it is called off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from aiocpg import (
    AlreadyJoinedError,
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    EngineUnavailableError,
    Reconnect,
)
from aiocpg._comeback import Comeback, for_good
from aiocpg._loop import current_port
from support.loops import BACKENDS, running_loop
from support.running import turns, until

pytestmark = pytest.mark.anyio

QUICK = Reconnect(first_pause=0.001, longest_pause=0.002)
ABSENT = EngineUnavailableError("not there", "start it", True)
FORBIDDEN = EngineUnavailableError("no access", "ask for it", False)


on_asyncio_loops = pytest.mark.parametrize(
    "anyio_backend", [BACKENDS["asyncio"], BACKENDS["uvloop"]], ids=["asyncio", "uvloop"], scope="function"
)


def ours() -> list[asyncio.Task[Any]]:
    """Return the tasks of the library."""
    return [task for task in asyncio.all_tasks() if task.get_name().startswith("aiocpg")]


def cancel_ours() -> list[asyncio.Task[Any]]:
    """Cancel the tasks of the library, as programs do that cancel all there are; return them."""
    tasks = ours()
    for task in tasks:
        task.cancel()
    return tasks


class There:
    """
    What is come back to.

    Attributes:
        is_abandoned: Whether it was given back.
    """

    is_abandoned = False

    def abandon(self) -> None:
        """Write it down."""
        self.is_abandoned = True


class Effort:
    """
    A comeback whose attempts end as they are told to.

    Attributes:
        tries: How many attempts there were.
        there: What the last one finds.
        told: What came of it.
        answer: Ends an attempt that waits.
    """

    def __init__(self, *outcomes: object, policy: Reconnect = QUICK) -> None:
        self._outcomes = list(outcomes)
        self.tries = 0
        self.there = There()
        self.told: list[Any] = []
        self.answer = anyio.Event()
        tell: Callable[[Any], object] = self.told.append
        self.comeback = Comeback(current_port(), policy, "the connection", self._attempt, tell, tell)

    async def _attempt(self) -> There:
        self.tries += 1
        outcome = self._outcomes.pop(0) if self._outcomes else self.there
        if outcome is None:
            await self.answer.wait()
        if isinstance(outcome, BaseException):
            raise outcome
        return self.there


async def test_losses_and_refusals_that_may_pass_are_tried_again() -> None:
    """Until it works, and that is told once."""
    effort = Effort(ABSENT, ConnectionLostError("gone again"), ABSENT)
    await until(lambda: effort.told)
    await turns()
    assert (effort.tries, effort.told) == (4, [effort.there])


@pytest.mark.parametrize("error", [FORBIDDEN, AlreadyJoinedError(b"group")], ids=["forbidden", "joined"])
async def test_error_that_trying_does_not_mend_ends_it(error: CPGError) -> None:
    """And is told as it is."""
    effort = Effort(ABSENT, error)
    await until(lambda: effort.told)
    assert (effort.tries, effort.told) == (2, [error])


async def test_patience_ends_an_attempt_that_hangs() -> None:
    """The error says what was lost and how long it was tried."""
    effort = Effort(None, policy=Reconnect(first_pause=0.001, give_up_after=0.02))
    await until(lambda: effort.told)
    (error,) = effort.told
    assert isinstance(error, EngineUnavailableError)
    assert "the connection was lost and could not be come back to within 0.02 s" in str(error)


async def test_nothing_is_told_when_it_is_called_off() -> None:
    """Neither a result nor an error, also when it is called off twice."""
    effort = Effort(None)
    await until(lambda: effort.tries)
    effort.comeback.cancel()
    effort.comeback.cancel()
    await turns(20)
    assert effort.told == []


async def test_result_that_comes_with_the_calling_off_is_given_back() -> None:
    """On trio it still arrives; whoever called it off is not told, and nobody else would close it."""
    effort = Effort(None)
    await until(lambda: effort.tries)
    effort.answer.set()
    effort.comeback.cancel()
    await turns(20)
    assert effort.told == []
    assert effort.there.is_abandoned == (running_loop() == "trio")


async def test_attempt_that_meets_our_own_close_tells_nobody() -> None:
    """Whoever closes sees to the readers, who then get the end and not an error."""
    effort = Effort(ConnectionClosedError())
    await until(lambda: effort.tries)
    await turns(20)
    assert (effort.tries, effort.told) == (1, [])


async def test_fault_of_our_own_is_told_and_not_tried_again() -> None:
    """Repeating it would only hide it."""
    effort = Effort(ZeroDivisionError("a bug"))
    await until(lambda: effort.told)
    (error,) = effort.told
    assert effort.tries == 1
    assert "a fault in aiocpg itself: ZeroDivisionError('a bug')" in str(error)


@on_asyncio_loops
@pytest.mark.parametrize("is_under_way", [True, False], ids=["under way", "not begun"])
async def test_program_that_cancels_all_tasks_does_not_end_it(is_under_way: bool) -> None:
    """Otherwise groups would wait for ever for somebody who is gone."""
    effort = Effort(None)
    if is_under_way:
        await until(lambda: effort.tries)
    cancel_ours()
    effort.answer.set()
    await until(lambda: effort.told)
    assert effort.told == [effort.there]


@on_asyncio_loops
async def test_program_that_cancels_all_tasks_until_there_is_none_comes_to_that() -> None:
    """It goes on a moment later, and not if it was called off meanwhile."""
    effort = Effort(None)
    while tasks := cancel_ours():
        await asyncio.wait(tasks)
    effort.comeback.cancel()
    await anyio.sleep(10 * QUICK.first_pause)
    assert not ours()
    assert effort.told == []


def test_loss_that_is_the_end_is_no_loss_to_those_who_go_on_behind_one() -> None:
    """With its cause; other errors are what they are."""
    lost = ConnectionLostError("a fault in aiocpg itself")
    lost.__cause__ = ZeroDivisionError()
    end = for_good(lost)
    assert isinstance(end, EngineUnavailableError)
    assert (end.reason, end.__cause__) == (lost.reason, lost.__cause__)
    assert for_good(FORBIDDEN) is FORBIDDEN
