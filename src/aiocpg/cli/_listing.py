"""Asking for the groups of the cluster again and again, beside who shows them: a congested daemon answers late."""

from __future__ import annotations

import time
from collections.abc import Mapping

import anyio

from aiocpg import Address, Connection

CONGESTED_SECONDS = 0.25
"""A daemon that keeps an answer for so long is congested. It answers in milliseconds when it is not."""


class Listing:
    """
    The newest listing, and how long the daemon has kept the next.

    While the cluster is congested, or forms a ring, the daemon answers nobody: what waits to be sent comes first.

    Attributes:
        groups: The groups and their members.
        took: Seconds that the answer took.
    """

    def __init__(self, cpg: Connection, interval: float) -> None:
        self._cpg = cpg
        self._interval = interval
        self._asked: float | None = None
        self._answered = anyio.Event()
        self.groups: Mapping[bytes, tuple[Address, ...]] = {}
        self.took = 0.0

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            self._asked = began = time.monotonic()
            self.groups = await self._cpg.groups()
            self._asked, self.took = None, time.monotonic() - began
            self._answered.set()
            await anyio.sleep(self._interval)

    async def until_answered(self) -> None:
        """Wait for the first answer."""
        await self._answered.wait()

    @property
    def congested_for(self) -> float:
        """Seconds that the daemon has kept an answer; 0 where that is as usual."""
        waited = 0.0 if self._asked is None else time.monotonic() - self._asked
        return waited if waited > CONGESTED_SECONDS else 0.0
