"""Which endpoints this process has: one for each domain and connection, shared by its handles."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Hashable
from typing import TypeVar

import anyio

from aiocpg._loop import current_port
from aiocpg._place import Place
from aiocpg.errors import AlreadyJoinedError, UsageError
from aiocpg.evs._domain import PREFIX, Domain
from aiocpg.evs._options import Options
from aiocpg.evs._readers import Reader

T = TypeVar("T")


class Lease:
    """
    A handle's share in an endpoint.

    Attributes:
        domain: The endpoint.
    """

    def __init__(self, domain: Domain, close: Callable[[float], Awaitable[None]]) -> None:
        self.domain = domain
        self._close = close

    async def give_back(self, reader: Reader, close_timeout: float) -> None:
        """The handle is gone. The last closes the endpoint, within so many seconds, and gets what comes till then."""
        readers = self.domain.readers
        try:
            if readers.is_last(reader):
                await self._close(close_timeout)
        finally:
            readers.close(reader)


class _Turn:
    """Somebody is opening or closing an endpoint; others wait until that is done."""

    def __init__(self) -> None:
        self.place = Place(current_port())
        self.done = anyio.Event()


_domains: dict[Hashable, Domain] = {}
_turns: dict[Hashable, _Turn] = {}


async def lease(
    key: Hashable,
    group: bytes,
    options: Options,
    open_: Callable[[], Awaitable[Domain]],
    close: Callable[[Domain, float], Awaitable[None]],
) -> Lease:
    """
    A share in the endpoint of this key, which is opened where there is none.

    Raises:
        AlreadyJoinedError: It belongs to another event loop of this process.
        UsageError: It was opened with other options.
    """
    whole = os.getpid(), key

    async def close_last(close_timeout: float) -> None:
        if _domains.get(whole) is domain:
            del _domains[whole]
            await _in_turn(whole, lambda: close(domain, close_timeout))
        else:  # it was lost, and there may be another by now
            await close(domain, close_timeout)

    await _until_free(whole, group)
    found = _domains.get(whole)
    if found is not None and not found.is_over:
        _check(found, group, options)
        domain = found
    else:
        _domains.pop(whole, None)
        domain = await _in_turn(whole, lambda: _anew(found, open_))
        _domains[whole] = domain
    return Lease(domain, close_last)


async def _anew(lost: Domain | None, open_: Callable[[], Awaitable[Domain]]) -> Domain:
    if lost is not None and _is_here(lost.place):
        await lost.give_up()  # it may still be a member of the CPG group
    return await open_()


async def _until_free(key: Hashable, group: bytes) -> None:
    while (turn := _turns.get(key)) is not None:
        if not _is_here(turn.place):
            raise AlreadyJoinedError(group)
        await turn.done.wait()


async def _in_turn(key: Hashable, run: Callable[[], Awaitable[T]]) -> T:
    turn = _turns[key] = _Turn()
    try:
        return await run()
    finally:
        del _turns[key]
        turn.done.set()


def _is_here(place: Place) -> bool:
    try:
        place.check()
    except UsageError:
        return False
    return True


def _check(domain: Domain, group: bytes, options: Options) -> None:
    if not _is_here(domain.place):
        raise AlreadyJoinedError(group)
    if domain.options != options:
        raise UsageError(
            f"this process is in the domain {group.removeprefix(PREFIX)!r} with other options, "
            f"{domain.options.differences(options)}: its handles share one endpoint, so give all of them the same"
        )
