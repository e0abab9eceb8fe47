"""
Faults of engines in what they do when called: a class each, one broken promise each.

``test_conformance_faults.py`` tells who finds which.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import anyio

from aiocpg import (
    AlreadyJoinedError,
    ConnectionLostError,
    EngineUnavailableError,
)
from support.faulty import FaultyEngine, FaultyMembership

_end = threading.Event()
_kept: list[int] = []
_PATIENCE = 30


def begin() -> None:
    """What blocks, blocks from now on."""
    _end.clear()


def end() -> None:
    """Clear away what faults have left: what they block goes on, what they keep is given back."""
    _end.set()
    while _kept:
        os.close(_kept.pop())
    for thread in threading.enumerate():
        if thread.name in ("aiocpg-conformance", "left behind"):
            thread.join(_PATIENCE)
            assert not thread.is_alive(), f"{thread.name} goes on"


def _block() -> None:
    _end.wait(_PATIENCE)


# -- 1. Calls that wait


class BlocksInMcast(FaultyMembership):
    """Holds whoever sends."""

    def mcast(self, data: bytes) -> bool:
        _block()
        return self.real.mcast(data)


class SpinsWhenCongested(FaultyMembership):
    """Holds whoever sends into congestion."""

    def mcast(self, data: bytes) -> bool:
        if not self.real.mcast(data):
            _block()
        return False


class DrainsWithoutEnd(FaultyMembership):
    """Takes all there is."""

    def drain(self) -> Sequence[Any]:
        records: list[Any] = []
        while batch := self.real.drain():
            records += batch
        return records


# -- 8. The loss


class _Tells:
    """Stands between an engine and its listener; a subclass says what becomes of a loss."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class _Twice(_Tells):
    def on_lost(self, error: Any) -> None:
        self.real.on_lost(error)
        self.real.on_lost(error)


class _Never(_Tells):
    def on_lost(self, error: Any) -> None:
        """Nothing."""


class _AsAnotherError(_Tells):
    def on_lost(self, error: Any) -> None:
        self.real.on_lost(EngineUnavailableError("gone", "come back later"))


class TellsMembershipsTwice(FaultyMembership):
    """Of one loss."""

    def listen(self, listener: Any) -> None:
        self.real.listen(_Twice(listener))


class TellsMembershipsNever(FaultyMembership):
    """Of a loss."""

    def listen(self, listener: Any) -> None:
        self.real.listen(_Never(listener))


class TellsMembershipsAnotherError(FaultyMembership):
    """Than a loss."""

    def listen(self, listener: Any) -> None:
        self.real.listen(_AsAnotherError(listener))


class TellsConnectionsTwice(FaultyEngine):
    """Of one loss."""

    def listen(self, listener: Any) -> None:
        self.real.listen(_Twice(listener))


class DrainsAgainBehindLoss(FaultyMembership):
    """The newest of what it has drained before."""

    newest: Sequence[Any] = ()

    def drained(self, records: list[Any]) -> Iterable[Any]:
        if records:
            self.newest = records[-1:]
        return records or self.newest if self.listener.losses else records


class RefusesBehindLoss(FaultyMembership):
    """Says "congested" for ever."""

    def mcast(self, data: bytes) -> bool:
        try:
            return self.real.mcast(data)
        except ConnectionLostError:
            return False


class RaisesAnotherErrorBehindLoss(FaultyEngine):
    """When groups are asked for."""

    async def groups(self) -> Any:
        try:
            return await self.real.groups()
        except ConnectionLostError as error:
            raise EngineUnavailableError("gone", "come back later") from error


class RaisesAnotherLossEachTime(FaultyMembership):
    """Whose words count."""

    count = 0

    def mcast(self, data: bytes) -> bool:
        try:
            return self.real.mcast(data)
        except ConnectionLostError as error:
            self.count += 1
            raise ConnectionLostError(f"for the {self.count}. time") from error


class CallsClosingALoss(FaultyMembership):
    """Tells it to its listener."""

    async def aclose(self, *, hard: bool = False) -> None:
        await self.real.aclose(hard=hard)
        self.listener.on_lost(ConnectionLostError("closed"))


class CallsItsEndALoss(FaultyEngine):
    """Tells it to its listener."""

    async def aclose(self) -> None:
        await self.real.aclose()
        self.listener.on_lost(ConnectionLostError("closed"))


# -- 9. Waiting


class CannotBeCancelled(FaultyEngine):
    """When members are asked for."""

    async def members(self, name: bytes) -> Any:
        with anyio.CancelScope(shield=True):
            return await self.real.members(name)


class LeaveCannotBeCancelled(FaultyMembership):
    """It waits for its answer."""

    async def leave(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.real.leave()


class KeepsNameOfCancelledJoin(FaultyEngine):
    """And refuses it from then on."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.kept: set[bytes] = set()

    async def join(self, name: bytes) -> Any:
        if name in self.kept:
            raise AlreadyJoinedError(name)
        self.kept.add(name)
        membership = await super().join(name)
        self.kept.discard(name)
        return membership


class FailsWhenCancelled(FaultyEngine):
    """With an error of its own."""

    async def groups(self) -> Any:
        try:
            return await self.real.groups()
        except anyio.get_cancelled_exc_class() as error:
            raise EngineUnavailableError("interrupted", "try again") from error


class WaitsOnBehindLoss(FaultyEngine):
    """For groups that nobody will ever tell."""

    async def groups(self) -> Any:
        try:
            return await self.real.groups()
        except ConnectionLostError:
            await anyio.sleep_forever()


class EndsQuietlyBehindLoss(FaultyMembership):
    """As if it had left."""

    async def leave(self) -> None:
        try:
            await self.real.leave()
        except ConnectionLostError:
            return


class KeepsNameOfClosed(FaultyEngine):
    """And refuses it from then on."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.kept: set[bytes] = set()

    async def join(self, name: bytes) -> Any:
        if name in self.kept:
            raise AlreadyJoinedError(name)
        self.kept.add(name)
        return await super().join(name)


class LeavesGhosts(FaultyMembership):
    """Given up, it stays a member to the others, who are never told."""

    def abandon(self) -> None:
        """Nothing."""


class KeepsDescriptors(FaultyEngine):
    """One for each join."""

    async def join(self, name: bytes) -> Any:
        _kept.append(os.open(os.devnull, os.O_RDONLY))
        return await super().join(name)


class KeepsThreads(FaultyEngine):
    """One for each engine."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        threading.Thread(target=_block, name="left behind", daemon=True).start()


# -- 10. What is refused


class RefusesWithAnotherError(FaultyEngine):
    """What is held already."""

    async def join(self, name: bytes) -> Any:
        try:
            return await super().join(name)
        except AlreadyJoinedError as error:
            raise EngineUnavailableError("no", "try another one") from error


class TellsOthersWhatItRefuses(FaultyEngine):
    """Through the membership that holds the group."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.memberships: dict[bytes, Any] = {}

    async def join(self, name: bytes) -> Any:
        try:
            self.memberships[name] = await super().join(name)
        except AlreadyJoinedError:
            self.memberships[name].real.mcast(b"somebody tried")
            raise
        return self.memberships[name]


class CutsNamesAtNul(FaultyEngine):
    """As C would."""

    async def join(self, name: bytes) -> Any:
        return await super().join(name.rstrip(b"\0"))


class CutsLargeMessages(FaultyMembership):
    """At a million bytes."""

    def mcast(self, data: bytes) -> bool:
        return self.real.mcast(data[:1_000_000])


class RefusesEmptyMessages(FaultyMembership):
    """As if nothing were nothing to say."""

    def mcast(self, data: bytes) -> bool:
        if not data:
            raise ValueError("there is nothing to send")
        return self.real.mcast(data)


# -- 11. The quorum


class FaultyQuorum(FaultyEngine):
    """Tells the quorum otherwise."""

    async def watch_quorum(self, listener: Any) -> None:
        told = listener.on_quorum
        listener.on_quorum = lambda state: self.tell(told, state)
        await self.real.watch_quorum(listener)

    def tell(self, told: Any, state: Any) -> None:
        """The fault."""


class TellsNoQuorum(FaultyQuorum):
    """Never."""


class TellsQuorumOfAnotherNode(FaultyQuorum):
    """One that is not there."""

    def tell(self, told: Any, state: Any) -> None:
        told(replace(state, nodes=(49,)))


class TellsAllThatTheyAreQuorate(FaultyQuorum):
    """As libquorum does without a provider."""

    def tell(self, told: Any, state: Any) -> None:
        told(replace(state, is_quorate=True))


class TellsTheFirstQuorumOnly(FaultyQuorum):
    """And no change."""

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.first: Any = None

    def tell(self, told: Any, state: Any) -> None:
        self.first = self.first or state
        told(self.first)
