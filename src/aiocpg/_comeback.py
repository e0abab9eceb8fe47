"""
Coming back to something lost: the same attempt again and again beside the program, with pauses, until it works.

What is attempted and what becomes of it is the caller's; what is told here is when to try again and when to give up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeGuard, TypeVar

import anyio

from aiocpg._loop import LoopPort, Task, Timer
from aiocpg._state.reconnect import Reconnect
from aiocpg.errors import ConnectionClosedError, ConnectionLostError, CPGError, EngineUnavailableError

log = logging.getLogger("aiocpg")


class Opened(Protocol):
    """What is come back to: an engine, or a membership."""

    def abandon(self) -> None:
        """Give everything back from where nothing can be awaited."""


T = TypeVar("T", bound=Opened)


def may_pass(error: CPGError) -> TypeGuard[ConnectionLostError]:
    """Whether coming back may help. A loss with a cause is a fault of our own, which coming back would only repeat."""
    return isinstance(error, ConnectionLostError) and error.__cause__ is None


def for_good(error: CPGError) -> CPGError:
    """The same error for those who go on behind losses: as one that is the end."""
    if not isinstance(error, ConnectionLostError):
        return error
    end = EngineUnavailableError(error.reason, "connect anew")
    end.__cause__ = error.__cause__
    return end


class Comeback(Generic[T]):
    """
    One effort, begun at once.

    Args:
        port: The loop.
        policy: Pauses and patience.
        what: What is come back to, for people.
        attempt: Tried each time. A loss and a refusal that may pass are tried again, any other error ends it. Where
            it meets that this side has closed, nobody is told: whoever closes sees to the rest.
        done: Told the result, in the loop; nothing is awaited between the two.
        given_up: Told why there is no result.
    """

    def __init__(
        self,
        port: LoopPort,
        policy: Reconnect,
        what: str,
        attempt: Callable[[], Awaitable[T]],
        done: Callable[[T], object],
        given_up: Callable[[CPGError], object],
    ) -> None:
        self._port = port
        self._policy = policy
        self._what = what
        self._attempt = attempt
        self._done = done
        self._given_up = given_up
        self._is_called_off = False
        self._task: Task | Timer = self._begin()

    def cancel(self) -> None:
        """Try no more, and tell nobody. Repeating does nothing."""
        self._is_called_off = True
        self._task.cancel()

    def _begin(self) -> Task:
        return self._port.spawn(self._run, f"coming back to {self._what}", self._crashed)

    async def _run(self) -> None:
        try:
            with anyio.move_on_after(self._policy.give_up_after) as patience:
                result = await self._until_it_works()
        except ConnectionClosedError:
            return
        except CPGError as error:
            self._end(error)
            return
        if patience.cancelled_caught:
            self._end(self._out_of_patience())
        elif self._is_called_off:  # trio cancels nobody who is about to run
            result.abandon()
        else:
            self._done(result)

    def _end(self, error: CPGError) -> None:
        if not self._is_called_off:
            self._given_up(error)

    async def _until_it_works(self) -> T:
        pauses = self._policy.pauses(random.random)
        while True:
            await anyio.sleep(next(pauses))
            try:
                return await self._attempt()
            except (ConnectionLostError, EngineUnavailableError) as error:
                if isinstance(error, EngineUnavailableError) and not error.transient:
                    raise
                log.debug("! %s: %s", self._what, error)

    def _out_of_patience(self) -> EngineUnavailableError:
        return EngineUnavailableError(
            f"{self._what} was lost and could not be come back to within {self._policy.give_up_after:g} s",
            "look at the daemon and its log, then connect anew; give_up_after of Reconnect says how long to try",
            True,
        )

    def _crashed(self, error: BaseException) -> None:
        if isinstance(error, asyncio.CancelledError):
            # Somebody cancels all tasks. It goes on, but a moment later: they may do so until there is none.
            log.debug("! %s: other code cancelled the task that was to come back to it", self._what)
            self._task = self._port.call_later(self._policy.first_pause, self._begin_again, self._crashed)
        else:
            cure = "please report it"
            self._end(EngineUnavailableError(f"{self._what} was lost: a fault in aiocpg itself: {error!r}", cure))

    def _begin_again(self) -> None:
        self._task = self._begin()
