"""Child programs that talk in lines: started on a node, heard, watched for the CPU they burn, ended in any case."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from pathlib import Path

import anyio

from aiocpg.testing import ClusterNode
from support.handles import PATIENCE, SOURCE

HERE = Path(__file__).parent
NAIVE = HERE / "naive"
OURS = HERE / "ours"

DEAF_SECONDS = 0.7
"""How long a program is given to answer before it is called deaf. A slow one is called so too, so a test also shows
that it answered before."""

ATTEMPTS = 5
"""How often a naive program is put into a state that lasts a second; a machine that stands still misses it."""

BURNT_SECONDS = 0.5
"""CPU that a program must use up to be called spinning."""


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that nothing announces, without holding up the loop."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110 - see above
            await anyio.sleep(0.005)


class Child:
    """A program that runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid
        self.said: list[str] = []
        self.complaint: list[str] = []
        self._heard = 0
        self._listeners = [
            threading.Thread(target=into.extend, args=(pipe,), daemon=True)
            for pipe, into in ((process.stdout, self.said), (process.stderr, self.complaint))
        ]
        for listener in self._listeners:
            listener.start()

    def tell(self, line: str) -> None:
        """Write a line to its input."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    async def says(self, word: str) -> str:
        """Wait for a line that begins with this word, passing over others; return the rest of it."""
        await until(lambda: self.has_said(word) or not self._listeners[0].is_alive())
        found = self._find(word)
        assert found is not None, f"{word!r} expected; it said {self.said}: {''.join(self.complaint)}"
        self._heard = found + 1
        return self.said[found].removeprefix(word).strip()

    def _find(self, word: str) -> int | None:
        places = range(self._heard, len(self.said))
        return next((place for place in places if self.said[place].split()[:1] == [word]), None)

    def has_said(self, word: str) -> bool:
        """Whether there is such a line that was not heard yet."""
        return self._find(word) is not None

    async def answers(self) -> None:
        """Wait until its event loop comes round to answering."""
        self.tell("ping")
        await self.says("pong")

    async def is_deaf(self) -> bool:
        """Whether its event loop does not come round to answering."""
        self.tell("ping")
        with anyio.move_on_after(DEAF_SECONDS):
            await self.says("pong")
            return False
        return True

    @property
    def cpu(self) -> float:
        """Seconds of CPU it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def spins(self) -> None:
        """Wait until it has burnt half a second of CPU from now."""
        before = self.cpu
        await until(lambda: self.cpu - before >= BURNT_SECONDS)

    async def ends(self) -> int:
        """Wait for its end; return the status. What it said is complete then."""
        await until(lambda: self.process.poll() is not None)
        await until(lambda: not any(listener.is_alive() for listener in self._listeners))
        return self.process.returncode

    async def ends_well(self) -> None:
        """Wait for its end with status 0."""
        assert await self.ends() == 0, "".join(self.complaint)

    def kill(self) -> None:
        """End it, whatever it does, and close the pipes."""
        self.process.kill()
        self.process.wait()
        for listener in self._listeners:
            listener.join(PATIENCE)
            assert not listener.is_alive(), "a child of this program lives on, and holds its pipes"
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


@contextmanager
def child(node: ClusterNode, program: Path, *arguments: object) -> Iterator[Child]:
    """Start a Python program on a node; it is gone at the end."""
    process = node.spawn(
        [sys.executable, "-u", str(program), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": f"{SOURCE}{os.pathsep}{HERE}"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running = Child(process)
    try:
        yield running
    finally:
        running.kill()


def naive(node: ClusterNode, name: str, *arguments: object) -> AbstractContextManager[Child]:
    """Start a program of ``naive/``."""
    return child(node, NAIVE / f"{name}.py", *arguments)


def ours(node: ClusterNode, name: str, *arguments: object) -> AbstractContextManager[Child]:
    """Start a program of ``ours/``: aiocpg, where a process of its own is needed to show it."""
    return child(node, OURS / f"{name}.py", *arguments)


class Ticker:
    """Counts how often the loop comes round."""

    def __init__(self) -> None:
        self.ticks = 0

    async def run(self) -> None:
        """Tick a hundred times a second, until cancelled."""
        while True:
            await anyio.sleep(0.01)
            self.ticks += 1

    async def advances(self, ticks: int = 20) -> None:
        """Wait until the loop came round so often from now."""
        goal = self.ticks + ticks
        await until(lambda: self.ticks >= goal)


@asynccontextmanager
async def ticking() -> AsyncIterator[Ticker]:
    """A ticker for the length of the block."""
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        yield ticker
        tasks.cancel_scope.cancel()
