"""
Who was evicted a short while ago.

CPG cannot expel: each change of the group brings a stopped process back, and all would wait for it as long again.
"""

from __future__ import annotations

from aiocpg._events import Address

REMEMBERED_SECONDS = 60.0
"""How long an eviction is remembered: who stalls again until then goes after ``stall_timeout``."""


class Evictions:
    """Remembers evictions, of whomever and by whomever."""

    def __init__(self) -> None:
        self._new: set[Address] = set()
        self._since: dict[Address, float] = {}

    def note(self, address: Address) -> None:
        """It was evicted, at the time that :meth:`recent` is told next."""
        self._new.add(address)

    def recent(self, now: float) -> frozenset[Address]:
        """Who is remembered."""
        self._since.update(dict.fromkeys(self._new, now))
        self._new.clear()
        if self._since:
            self._since = {one: since for one, since in self._since.items() if now < since + REMEMBERED_SECONDS}
        return frozenset(self._since)
