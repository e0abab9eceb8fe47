"""Coming back: what is tried again, what ends it, and that nothing is told once it is called off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from aiocpg import AlreadyJoinedError, ConnectionLostError, CPGError, EngineUnavailableError, Reconnect
from aiocpg._comeback import Comeback
from aiocpg._loop import current_port
from support.loops import BACKENDS
from support.running import turns, until

pytestmark = pytest.mark.anyio

QUICK = Reconnect(first_pause=0.001, longest_pause=0.002)
ABSENT = EngineUnavailableError("not there", "start it", True)
FORBIDDEN = EngineUnavailableError("no access", "ask for it", False)


class Effort:
    """
    A comeback whose attempts end as they are told to.

    Attributes:
        tries: How many attempts there were.
        told: What came of it.
    """

    def __init__(self, *outcomes: object, policy: Reconnect = QUICK) -> None:
        self._outcomes = list(outcomes)
        self.tries = 0
        self.told: list[Any] = []
        tell: Callable[[Any], object] = self.told.append
        self.comeback = Comeback(current_port(), policy, "the connection", self._attempt, tell, tell)

    async def _attempt(self) -> str:
        self.tries += 1
        outcome = self._outcomes.pop(0) if self._outcomes else "back"
        if outcome is None:
            await anyio.sleep_forever()
        if isinstance(outcome, BaseException):
            raise outcome
        return str(outcome)


async def test_losses_and_refusals_that_may_pass_are_tried_again() -> None:
    """Until it works, and that is told once."""
    effort = Effort(ABSENT, ConnectionLostError("gone again"), ABSENT, "there")
    await until(lambda: effort.told)
    await turns()
    assert (effort.tries, effort.told) == (4, ["there"])


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


async def test_fault_of_our_own_is_told_and_not_tried_again() -> None:
    """Repeating it would only hide it."""
    effort = Effort(ZeroDivisionError("a bug"))
    await until(lambda: effort.told)
    (error,) = effort.told
    assert effort.tries == 1
    assert "a fault in aiocpg itself: ZeroDivisionError('a bug')" in str(error)


@pytest.mark.parametrize(
    "anyio_backend", [BACKENDS["asyncio"], BACKENDS["uvloop"]], ids=["asyncio", "uvloop"], scope="function"
)
async def test_program_that_cancels_all_tasks_is_told_what_it_did() -> None:
    """Otherwise groups would wait for ever for somebody who is gone."""
    effort = Effort(None)
    await until(lambda: effort.tries)
    for task in asyncio.all_tasks():
        if task.get_name().startswith("aiocpg"):
            task.cancel()
    await until(lambda: effort.told)
    assert "other code cancelled the task" in str(effort.told[0])
