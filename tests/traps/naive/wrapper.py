"""The asyncio wrapper of libcpg that one writes first, and that these programs fall into traps with."""

from __future__ import annotations

import asyncio

from aiocpg import Guarantee, lowlevel


class NaiveGroup:
    """Joins, and reads with ``add_reader``. Not for use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.handle = lowlevel.initialize()
        self.fd = lowlevel.fd_get(self.handle)
        self.events: asyncio.Queue[lowlevel.Event] = asyncio.Queue()
        lowlevel.join(self.handle, name)
        asyncio.get_running_loop().add_reader(self.fd, self.dispatch)

    def dispatch(self) -> None:
        """Read what is there."""
        for event in lowlevel.dispatch(self.handle, lowlevel.DispatchFlag.ALL):
            self.events.put_nowait(event)

    def mcast(self, data: bytes) -> None:
        """Send."""
        lowlevel.mcast_joined(self.handle, Guarantee.AGREED, data)

    def leave(self) -> None:
        """Leave; the handle stays for the next time."""
        lowlevel.leave(self.handle, self.name)
