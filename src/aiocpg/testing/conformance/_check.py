"""One check: which promise it looks at, what it needs, and how it looks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ._room import Room


@dataclass(frozen=True, slots=True)
class Check:
    """
    One line of the table. It prints as its name, so ``pytest.mark.parametrize`` takes ``ids=str``.

    Attributes:
        promise: The promise it looks at, by its number in ``aiocpg.engine._base``.
        run: Looks; returns when the promise was kept.
        needs: The names of the :class:`Abilities` that the world must have.
    """

    promise: int
    run: Callable[[Room], Awaitable[None]]
    needs: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What it says of the engine."""
        return self.run.__name__

    def __str__(self) -> str:
        return f"{self.promise}-{self.name}"
