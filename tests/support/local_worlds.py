"""The world of a broker for the conformance suite: each engine claims a pid of its own."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from aiocpg._loop import current_port
from aiocpg.engine import open_engine
from aiocpg.engine._base import Engine
from aiocpg.testing.conformance import Abilities, Absent

_numbers = itertools.count(1)


class LocalWorld:
    """See :class:`aiocpg.testing.conformance.World`. $AIOCPG_LOCAL_DIR says where it is."""

    name = "local://"

    def __init__(self) -> None:
        self._url = ""
        self._pids = itertools.count(1001)
        self._brokers: set[int] = set()
        self.abilities = Abilities(
            lose=self._lose, stall=self._stall, cut=Absent("there is one node"), congest=self._stall
        )

    async def reset(self) -> None:
        """Another broker."""
        self.end()
        self._url = f"local://world-{os.getpid()}-{next(_numbers)}"

    async def open(self) -> Engine:
        """As another process."""
        engine = await open_engine(f"{self._url}?pid={next(self._pids)}", current_port())
        assert engine.daemon is not None
        self._brokers.add(engine.daemon.pid)
        return engine

    def end(self) -> None:
        """End the brokers of this world."""
        for pid in self._brokers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._brokers.clear()

    async def _lose(self, engine: Engine) -> None:
        os.kill(_broker(engine), signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def _stall(self, engine: Engine) -> AsyncIterator[None]:
        os.kill(_broker(engine), signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # killed meanwhile
                os.kill(_broker(engine), signal.SIGCONT)


def end_brokers(directory: Path) -> None:
    """End all brokers that are here."""
    for lock in directory.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):  # it ends by itself just now
            os.kill(int(lock.read_text()), signal.SIGKILL)


def _broker(engine: Engine) -> int:
    assert engine.daemon is not None
    return engine.daemon.pid
