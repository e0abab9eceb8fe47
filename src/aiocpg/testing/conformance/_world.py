"""What the author of an engine supplies: a world with engines in it, and the misfortunes that can be arranged there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, fields
from typing import Protocol, TypeAlias

from aiocpg.engine._base import Engine


@dataclass(frozen=True, slots=True)
class Absent:
    """
    Says that a world has not got an ability. It stands in the report of each check that needs it.

    Attributes:
        reason: Why, in a few words: "there is nobody behind it who could stand still".
    """

    reason: str


Lose: TypeAlias = Callable[[Engine], Awaitable[None]]
Hold: TypeAlias = Callable[[Engine], AbstractAsyncContextManager[None]]
Cut: TypeAlias = Callable[[Iterable[Engine], Iterable[Engine]], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Abilities:
    """
    The misfortunes of a world. Each is given or declared :class:`Absent`: none is left out by accident.

    None of them may block the event loop.

    Attributes:
        lose: What is behind the engine dies, without a word. The engine may be stalled then, or closed.
        stall: What is behind the engine stands still inside the block, and goes on behind it if it is alive.
        cut: The engines of the two sides do not reach each other inside the block. The engines that are open stand on
            one side each. Neither end of the block waits until anybody has noticed.
        congest: Whoever goes on sending through the engine inside the block is told ``False`` before 100 000 messages
            of 100 bytes. Behind the block messages are taken again, and those taken before are delivered.
    """

    lose: Lose | Absent
    stall: Hold | Absent
    cut: Cut | Absent
    congest: Hold | Absent

    def missing(self, needs: Iterable[str]) -> tuple[str, ...]:
        """Why these cannot all be had: a line for each that is absent."""
        needed = ((name, getattr(self, name)) for name in needs)
        return tuple(f"no {name}: {ability.reason}" for name, ability in needed if isinstance(ability, Absent))


ABILITIES = frozenset(field.name for field in fields(Abilities))
"""The names of the abilities, as checks need them."""


class World(Protocol):
    """
    Where engines are that can talk to each other.

    Everything is called in the event loop of the check that runs, and each check runs in a loop of its own, on a thread
    of its own. So a world keeps nothing between two checks that belongs to a loop.
    """

    @property
    def name(self) -> str:
        """What the report calls the engine: its URL."""

    @property
    def abilities(self) -> Abilities:
        """What misfortunes there are."""

    async def reset(self) -> None:
        """
        Make the world whole for the next check, whatever the last one did to it.

        The engines opened so far are closed, or were given up because they did not close.
        """

    async def open(self) -> Engine:
        """
        Open another engine in this world, in the running loop. A check opens three at the most.

        Its memberships have another address than those of the engines opened since :meth:`reset`, closed ones included.
        The check listens to it, and closes it.
        """
