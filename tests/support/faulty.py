"""
Engines that break one promise each: thin wrappers around a real one, for testing the suite that must find them out.

What a fault needs of the real engine it gets by delegation; so whatever else it does, is what corosync does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from aiocpg import ConfigurationChange
from aiocpg.engine._base import Engine
from aiocpg.testing.conformance import Abilities, Check, ConformanceError, World, run_check


class Wrapper:
    """Does what the real one does, wherever a subclass says nothing else."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


class FaultyMembership(Wrapper):
    """
    A membership that drains something else than the real one.

    Attributes:
        engine: The faulty engine it comes from.
        listener: Who listens to it.
    """

    def __init__(self, real: Any, engine: FaultyEngine) -> None:
        super().__init__(real)
        self.engine = engine
        self.listener: Any = None

    def listen(self, listener: Any) -> None:
        """Know the listener."""
        self.listener = listener
        self.real.listen(listener)

    def drain(self) -> Sequence[Any]:
        """What the fault makes of what came."""
        return list(self.drained(list(self.real.drain())))

    def drained(self, records: list[Any]) -> Iterable[Any]:
        """The fault, where it is in the stream."""
        return records


class FaultyEngine(Wrapper):
    """
    An engine with faulty memberships, and perhaps faults of its own.

    Attributes:
        membership: What a join makes of the real membership.
        listener: Who listens to it.
    """

    membership: Callable[..., Any] = FaultyMembership

    def __init__(self, real: Any) -> None:
        super().__init__(real)
        self.listener: Any = None

    def listen(self, listener: Any) -> None:
        """Know the listener."""
        self.listener = listener
        self.real.listen(listener)

    async def join(self, name: bytes) -> Any:
        """Join, and wrap."""
        return self.membership(await self.real.join(name), self)


def engine_of(membership: type[FaultyMembership]) -> type[FaultyEngine]:
    """An engine whose only fault is its memberships'."""
    return type(f"EngineOf{membership.__name__}", (FaultyEngine,), {"membership": membership})


class FaultyWorld:
    """
    A real world whose engines are faulty.

    Args:
        world: The real one.
        fault: Wraps an engine.
        places: Which engines, by the order in which a check opens them, are wrapped so; all, if not told.
    """

    def __init__(self, world: World, fault: Callable[[Any], Any], places: Sequence[int] = (0, 1, 2)) -> None:
        self._world = world
        self._fault = fault
        self._places = places
        self._opened = 0

    @property
    def name(self) -> str:
        """Whose it is."""
        return f"faulty {self._world.name}"

    @property
    def abilities(self) -> Abilities:
        """Those of the real world, for wrapped engines."""
        real: Any = self._world.abilities
        return replace(
            real,
            lose=lambda engine: real.lose(_unwrapped(engine)),
            stall=lambda engine: real.stall(_unwrapped(engine)),
            congest=lambda engine: real.congest(_unwrapped(engine)),
            cut=lambda *sides: real.cut(*([_unwrapped(engine) for engine in side] for side in sides)),
        )

    async def reset(self) -> None:
        """The real world's."""
        self._opened = 0
        await self._world.reset()

    async def open(self) -> Engine:
        """Wrap the engine if its turn has come."""
        wrap = self._fault if self._opened in self._places else FaultyEngine
        self._opened += 1
        return wrap(await self._world.open())


def _unwrapped(engine: Any) -> Any:
    return engine.real


def is_join_of(record: object, me: object) -> bool:
    """Whether a record is the change that lists ``me`` as joined."""
    return isinstance(record, ConfigurationChange) and any(entry.address == me for entry in record.joined)


def is_departure_of(record: object, me: object) -> bool:
    """Whether a record is the change that lists ``me`` as left."""
    return isinstance(record, ConfigurationChange) and any(entry.address == me for entry in record.left)


async def broken(check: Check, world: World, seen: str, patience: float) -> ConformanceError:
    """
    Return the error of a check that has to fail with these words.

    Where the patience was short, and the error is another one, the machine may have stood still for longer than that
    before the fault could show; then it is looked at again with much of it.
    """
    for seconds in dict.fromkeys((patience, max(patience, 20.0))):
        with pytest.raises(ConformanceError) as caught:
            await run_check(check, world, patience=seconds)
        if re.search(seen, str(caught.value)):
            return caught.value
    raise AssertionError(f"{seen!r} is not in {caught.value}")
