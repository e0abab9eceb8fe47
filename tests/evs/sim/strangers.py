"""A process that joins and is no endpoint: it repeats, cuts and mangles what it hears, or makes things up."""

from __future__ import annotations

from random import Random

from aiocpg import Address
from evs.sim.clients import Client, Frame, Standing
from evs.sim.daemon import Daemon


class Stranger(Client):
    """A member of the group that does not know what it is for."""

    def __init__(self, address: Address, daemon: Daemon, rng: Random) -> None:
        super().__init__(address)
        self._rng = rng
        self._heard: list[bytes] = []
        self.daemon = daemon
        daemon.join(self)

    def turn(self) -> None:
        """Listen, and talk now and then."""
        while self.inbox:
            told = self.inbox.popleft()
            if isinstance(told, Frame):
                self._heard = [*self._heard[-5:], told.data]
        if self.is_up and self.standing is Standing.MEMBER and self._rng.random() < 0.3:
            self.daemon.send(self, self._nonsense())

    def _nonsense(self) -> bytes:
        rng = self._rng
        if not self._heard or rng.random() < 0.2:
            return rng.randbytes(rng.randrange(100))
        frame = bytearray(rng.choice(self._heard))
        kind = rng.randrange(3)
        if kind == 0:
            return bytes(frame[: rng.randrange(len(frame) + 1)])
        if kind == 1 and frame:
            frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
        return bytes(frame)

    def end(self) -> None:
        """Die, and be gone."""
        self.is_up = False
        if self.daemon.is_up:
            self.daemon.bury(self)
