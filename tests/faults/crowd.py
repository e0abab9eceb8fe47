"""
A crowd of processes in one group of ``local://``, of which some are killed at random while others come.

This process is there all the time, and its log is the measure: what any other member has read must stand in it in one
piece, from that member's join on, up to its death or the end.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import anyio

import aiocpg
from aiocpg.engine.local._directory import files
from faults.programs import command
from faults.programs.crowd_member import line
from support.running import until

AT_LEAST = 4
"""Members are killed in any case, however slow the machine is."""


class Told(NamedTuple):
    """What a crowd has shown."""

    members: int
    killed: int
    events: int
    brokers: int


class Crowd:
    """
    A crowd.

    Args:
        name: Of the world.
        size: How many members there are at a time, besides us.
        directory: For their logs.
        seed: Of who is killed.
    """

    def __init__(self, name: str, size: int, directory: Path, seed: int) -> None:
        self.url = f"local://{name}"
        self._size = size
        self._directory = directory
        self._random = random.Random(seed)
        self._running: list[subprocess.Popen[bytes]] = []
        self._killed: list[subprocess.Popen[bytes]] = []
        self._started: list[int] = []
        self._log: list[str] = []

    async def run(self, seconds: float) -> Told:
        """Have the crowd talk and die for so long, then end, and look at what everybody has read."""
        brokers = set()
        async with aiocpg.connect(self.url) as cpg, cpg.join("crowd") as group, anyio.create_task_group() as tasks:
            tasks.start_soon(self._read, group)
            end = anyio.current_time() + seconds
            while anyio.current_time() < end or len(self._killed) < AT_LEAST:
                self._fill_up()
                assert cpg.daemon is not None
                brokers.add(cpg.daemon.pid)
                await anyio.sleep(self._random.random() * 0.5)
                self._kill_one()
            self._fill_up()
            # These and no others: one that was killed just now may not have been seen to go yet.
            there = {group.me.pid} | {member.pid for member in self._running}
            await until(lambda: {member.pid for member in group.members} == there)
            await group.mcast(b"end")
            await until(lambda: len(group.members) == 1)
            await group.leave()
        for member in self._running:
            assert member.wait() == 0
        self.check()
        return Told(len(self._started), len(self._killed), len(self._log), len(brokers))

    async def _read(self, group: aiocpg.Group) -> None:
        async for event in group:
            if text := line(event):
                self._log.append(text)

    def _fill_up(self) -> None:
        while len(self._running) < self._size:
            path = self._directory / f"{len(self._started)}.log"
            member = subprocess.Popen(command("crowd_member", self.url, "crowd", str(path)))
            self._running.append(member)
            self._started.append(member.pid)

    def _kill_one(self) -> None:
        victim = self._running.pop(self._random.randrange(len(self._running)))
        victim.kill()
        victim.wait()
        self._killed.append(victim)

    def end(self) -> None:
        """End what still runs, after a failure."""
        for member in self._running:
            member.kill()
            member.wait()

    def check(self) -> None:
        """Raise AssertionError unless all have read the same."""
        survivors = {member.pid for member in self._running}
        for number, pid in enumerate(self._started):
            path = self._directory / f"{number}.log"
            lines = path.read_text().split("\n")[:-1] if path.exists() else []  # the last may be half a line
            check_log(pid, lines, self._log, is_whole=pid in survivors)


def check_log(pid: int, lines: Sequence[str], measure: Sequence[str], *, is_whole: bool) -> None:
    """Raise AssertionError unless these stand in the measure in one piece, from the join of the process on."""
    if not lines:
        assert not is_whole, f"{pid} has read nothing"
        return
    assert lines[0].startswith(f"+1:{pid} JOIN"), f"{pid} begins with {lines[0]!r}"
    start = measure.index(lines[0])
    assert list(measure[start : start + len(lines)]) == list(lines), f"{pid} has read something else"
    assert not is_whole or lines[-1].endswith(" end"), f"{pid} ends with {lines[-1]!r}"


def has_ended(name: str) -> bool:
    """Whether the broker of a world has ended, and has left nothing that others could meet."""
    found = files(name)
    return not found.socket.exists() and not found.lock.exists()
