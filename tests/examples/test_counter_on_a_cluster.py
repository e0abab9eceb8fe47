"""The counter on a real cluster of three nodes: joins, kill -9, a partition and its end; all copies end equal."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest

from aiocpg.testing import CorosyncCluster
from examples.programs import Program, Stage, stage

SHOWN = re.compile(r"(?P<value>-?\d+) after (?P<count>\d+)(?P<late> \(out of sync\))?")
BIG = 10**9


@pytest.fixture
def play() -> Iterator[Stage]:
    """Start programs here."""
    with stage() as it:
        yield it


class Copies:
    """The counters that run, and what is done to them."""

    def __init__(self, cluster: CorosyncCluster, play: Stage, seed: int) -> None:
        self._cluster, self._play = cluster, play
        self.chance = random.Random(seed)
        self.alive: list[Program] = []

    def join(self) -> None:
        """One more, somewhere."""
        program = self._play.start(self.chance.choice(self._cluster.nodes), "counter")
        self.alive.append(program)
        program.until(lambda lines: bool(lines) and "sync" not in lines[-1], "being in sync")

    def kill(self) -> None:
        """One less, in the middle of what it was doing, unless it is the last."""
        if len(self.alive) > 1:
            victim = self.alive.pop(self.chance.randrange(len(self.alive)))
            victim.type("1", "1", "1")
            victim.close()

    def add(self) -> None:
        """Everybody counts a little."""
        for program in self.alive:
            program.type(*["1"] * self.chance.randrange(1, 20))

    def settle(self) -> list[tuple[int, int]]:
        """Everybody adds a big number; return what each shows with all of them, and so with all before them."""
        for program in self.alive:
            program.type(f"{BIG}")
        for program in self.alive:
            program.until(self._has_all, "all big numbers")
        return [state(program) for program in self.alive]

    def _has_all(self, lines: list[str]) -> bool:
        return "sync" not in lines[-1] and int(lines[-1].split()[0]) // BIG == len(self.alive)


def state(program: Program) -> tuple[int, int]:
    """Value and count as last shown, in sync."""
    shown = SHOWN.fullmatch(program.lines[-1])
    assert shown is not None, str(program)
    assert not shown["late"]
    return int(shown["value"]), int(shown["count"])


@pytest.mark.parametrize("seed", [1, 2])
def test_counters_are_equal_after_joins_crashes_and_a_partition(
    cluster: CorosyncCluster, play: Stage, seed: int
) -> None:
    """A seeded play of faults on real daemons; then the counters count on together."""
    copies = Copies(cluster, play, seed)
    for _ in range(3):
        copies.join()
    disturb(copies, 4)
    apart = copies.chance.choice(cluster.nodes).nodeid
    rest = [node.nodeid for node in cluster.nodes if node.nodeid != apart]
    cluster.partition([apart], rest)
    copies.add()
    cluster.wait_formed([apart], rest)
    disturb(copies, 3)
    cluster.heal()
    copies.add()
    cluster.wait_formed()
    disturb(copies, 3)
    while len(copies.alive) < 3:
        copies.join()
    states = copies.settle()
    assert len(set(states)) == 1, "\n".join(map(str, copies.alive))
    assert states[0][1] > len(copies.alive)
    for program in copies.alive:
        program.interrupt()


def disturb(copies: Copies, times: int) -> None:
    """Count, and let members come and go meanwhile."""
    for _ in range(times):
        copies.add()
        copies.chance.choice([copies.join, copies.kill])()
        copies.add()
