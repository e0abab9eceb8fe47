"""The groups that this process holds. Everywhere a process joins a group once, so a second join is refused here."""

from __future__ import annotations

import os
from collections.abc import Hashable

from aiocpg.errors import AlreadyJoinedError

_held: set[tuple[Hashable, bytes]] = set()

os.register_at_fork(after_in_child=_held.clear)


class Claim:
    """
    The right of this process to be in a group, held from before the join until after the departure.

    Args:
        world: Equal for what reaches the same members.
        name: The group.

    Raises:
        AlreadyJoinedError: Another part of this process holds it.
    """

    def __init__(self, world: Hashable, name: bytes) -> None:
        self._key = (world, name)
        if self._key in _held:
            raise AlreadyJoinedError(name)
        _held.add(self._key)

    def release(self) -> None:
        """Let others join. Repeating does nothing, so it must be forgotten once released."""
        _held.discard(self._key)
