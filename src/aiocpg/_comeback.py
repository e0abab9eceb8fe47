"""
Coming back to something lost: the same attempt again and again beside the program, with pauses, until it works.

What is attempted and what becomes of it is the caller's; what is told here is when to try again and when to give up.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio

from aiocpg._loop import LoopPort
from aiocpg._state.reconnect import Reconnect
from aiocpg.errors import ConnectionLostError, CPGError, EngineUnavailableError

log = logging.getLogger("aiocpg")

T = TypeVar("T")


class Comeback(Generic[T]):
    """
    One effort, begun at once.

    Args:
        port: The loop.
        policy: Pauses and patience.
        what: What is come back to, for people.
        attempt: Tried each time. A loss and a refusal that may pass are tried again, any other error ends it.
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
        self._policy = policy
        self._what = what
        self._attempt = attempt
        self._done = done
        self._given_up = given_up
        self._task = port.spawn(self._run, f"coming back to {what}", self._crashed)

    def cancel(self) -> None:
        """Try no more, and tell nobody. Repeating does nothing."""
        self._task.cancel()

    async def _run(self) -> None:
        try:
            with anyio.move_on_after(self._policy.give_up_after) as patience:
                result = await self._until_it_works()
        except CPGError as error:
            self._given_up(error)
            return
        if patience.cancelled_caught:
            self._given_up(self._out_of_patience())
        else:
            self._done(result)

    async def _until_it_works(self) -> T:
        pauses = self._policy.pauses(random.random)
        while True:
            await anyio.sleep(next(pauses))
            try:
                return await self._attempt()
            except ConnectionLostError as error:
                log.debug("! %s: %s", self._what, error)
            except EngineUnavailableError as error:
                if not error.transient:
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
            reason = "other code cancelled the task that was to come back to it"
            cure = "cancel only tasks of your own, not asyncio.all_tasks()"
        else:
            reason, cure = f"a fault in aiocpg itself: {error!r}", "please report it"
        self._given_up(EngineUnavailableError(f"{self._what} was lost: {reason}", cure))
