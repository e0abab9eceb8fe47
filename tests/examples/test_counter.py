"""The counter's rules in a model of Corosync: whatever happens, the copies end equal and no number is counted twice."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Address
from examples.programs import load
from examples.totem import Process, Totem

counter = load("counter")

NODES = 3
MOST_PROCESSES = 6
ROUNDS = 50
"""More rounds of questions than any history needs once the network is whole."""
MOST_TURNS = 20_000

STEPS = (*["start"] * 2, "crash", "regroup", "retry", *["add"] * 6, *["work"] * 6)
Step = tuple[str, int]


class World:
    """Replicas in a model of Corosync, driven by steps; every number added is another power of four."""

    def __init__(self) -> None:
        self._tokens = itertools.count(1)
        self._numbers = 0
        self._seen: dict[tuple[int, int, str], tuple[int, int]] = {}
        self.totem = Totem(NODES, self._replica)
        self.added: dict[Address, list[int]] = {}
        self.counted_by_sender: list[int] = []
        self.has_been_whole = True

    def _replica(self, me: Address) -> Any:
        return counter.Replica(me, lambda: f"{next(self._tokens)}")

    def step(self, what: str, choice: int) -> None:
        """Do one thing; ``choice`` says to whom."""
        chance = random.Random(choice)
        if what == "regroup":
            self.regroup(chance)
        elif what == "start" and len(self.totem.processes) < MOST_PROCESSES:
            self.totem.start(chance.choice(self.totem.nodes))
        elif what == "work":
            self.work(chance)
        elif what != "start" and self.totem.processes:
            getattr(self, what)(chance.choice(self.totem.processes), chance)

    def regroup(self, chance: random.Random) -> None:
        """Cut the network anew."""
        self.has_been_whole = False
        sides: dict[int, list[int]] = {}
        for node in self.totem.nodes:
            sides.setdefault(chance.randrange(NODES), []).append(node)
        self.totem.regroup(sides.values(), chance)

    def crash(self, process: Process, chance: random.Random) -> None:
        """End a process with letters in its queue."""
        self.totem.end(process, sent=chance.randrange(4))

    def add(self, process: Process, chance: random.Random | None = None) -> None:
        """Raise the counter by a number of its own."""
        number = 4**self._numbers
        self._numbers += 1
        self.added.setdefault(process.address, []).append(number)
        self.totem.send(process, process.machine.add(number))

    def work(self, chance: random.Random) -> None:
        """Let some of what is under way be ordered and read, by some sooner than by others."""
        for _ in range(chance.randrange(150) if self.totem.processes else 0):
            self.totem.order(chance.choice(self.totem.processes))
            self.read(chance.choice(self.totem.processes))

    def read(self, process: Process) -> None:
        """Let a process read, and compare it with all that were in sync at this place."""
        replica = process.machine
        before = replica.value
        entry = self.totem.read(process)
        if entry and entry.sender == process.address and entry.letter[0] == "add" and replica.value != before:
            self.counted_by_sender.append(entry.letter[-1])
        if replica.in_sync and process.read:
            place = (self.totem.ring_of(process).number, process.read, replica._history)
            state = (replica.value, replica.count)
            assert self._seen.setdefault(place, state) == state

    def retry(self, process: Process, chance: random.Random | None = None) -> None:
        """Let a second pass, but never so many that members who only take long are given up."""
        if not process.machine.in_sync and process.machine._tries + 1 < counter.PATIENCE:
            self.totem.send(process, process.machine.retry())

    def settle(self) -> None:
        """Make the network whole and let everybody talk to the end."""
        if not self.has_been_whole:
            self.totem.regroup([self.totem.nodes], random.Random(0))
        for _ in range(ROUNDS):
            self.run()
            self.totem.rings[0].deaf.clear()  # a second has passed
            late = [process for process in self.totem.processes if not process.machine.in_sync]
            if not late:
                return
            for process in late:
                self.totem.send(process, process.machine.retry())
        raise AssertionError(f"still out of sync: {late}")

    def run(self) -> None:
        """Order and read until there is nothing left to do."""
        for _ in range(MOST_TURNS):
            if not any(process.unsent or process.unread for process in self.totem.processes):
                return
            for process in self.totem.processes:
                self.totem.order(process)
                self.read(process)
        raise AssertionError("they talk without end")

    def states(self) -> set[tuple[int, int, str]]:
        """The distinct states."""
        replicas = [process.machine for process in self.totem.processes]
        return {(replica.value, replica.count, replica._history) for replica in replicas}

    def check(self) -> None:
        """All copies are equal, and each number of those alive was counted once before its sender put it aside."""
        assert len(self.states()) == 1
        assert set(self.counted()) <= {0, 1}
        assert len(set(self.counted_by_sender)) == len(self.counted_by_sender)
        alive = [process.address for process in self.totem.processes]
        assert {number for who in alive for number in self.added.get(who, [])} <= set(self.counted_by_sender)

    def counted(self) -> list[int]:
        """How often each number is in the value."""
        (value, count, _) = next(iter(self.states()))
        times = [value // 4**power % 4 for power in range(self._numbers)]
        assert sum(times) == count
        return times


def play(steps: Sequence[Step]) -> World:
    """Take the steps, then let everybody come to an end."""
    world = World()
    world.totem.start(1)
    for what, choice in steps:
        world.step(what, choice)
    if not world.totem.processes:
        world.totem.start(1)
    world.settle()
    return world


@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2**16)), max_size=100))
def test_copies_are_equal_after_any_history(steps: list[Step]) -> None:
    """Joins, crashes, partitions and merges in any order: in the end all are in sync and hold the same."""
    world = play(steps)
    world.check()


@pytest.mark.parametrize("seed", range(25))
def test_copies_are_equal_after_a_long_walk(seed: int) -> None:
    """The same over histories longer than hypothesis likes to make."""
    chance = random.Random(seed)
    world = play([(chance.choice(STEPS), chance.randrange(2**16)) for _ in range(300)])
    world.check()


@pytest.mark.parametrize("seed", range(10))
def test_every_number_of_a_survivor_counts_when_no_sides_meet(seed: int) -> None:
    """Without a merge nothing is lost but what a dead process had not sent."""
    chance = random.Random(seed)
    calm = [step for step in STEPS if step != "regroup"]
    world = play([(chance.choice(calm), chance.randrange(2**16)) for _ in range(300)])
    world.add(world.totem.processes[0])
    world.run()
    times = world.counted()
    added = [number for process in world.totem.processes for number in world.added.get(process.address, [])]
    assert all(times[number.bit_length() // 2] == 1 for number in added)


def test_longer_history_wins_when_sides_meet() -> None:
    """A node that starts alone and empty does not wipe what the others hold, whatever its address."""
    world = World()
    chance = random.Random(1)
    world.totem.regroup([[1], [2, 3]], chance)
    rich = [world.totem.start(2), world.totem.start(3)]
    poor = world.totem.start(1)
    world.run()
    for process in [*rich, *rich, poor]:
        world.add(process)
    world.run()
    world.has_been_whole = False
    world.settle()
    world.check()
    assert world.counted() == [1, 1, 1, 1, 0]


def test_newcomer_on_a_new_node_misses_nothing() -> None:
    """Its node does not hear one of the others yet; an answer of the other one does not make it go without."""
    world = World()
    world.totem.regroup([[1, 2], [3]], random.Random(0))
    world.totem.start(1)
    unheard = world.totem.start(2)
    world.run()
    world.totem.regroup([world.totem.nodes], random.Random(0))
    world.totem.rings[0].deaf = {(2, 3): 3}
    newcomer = world.totem.start(3)
    world.run()
    assert not newcomer.machine.in_sync
    world.add(unheard)
    world.settle()
    world.check()
    assert world.counted() == [1]


def test_stopped_member_does_not_keep_others_out_of_sync() -> None:
    """It costs newcomers some tries and no more; when it goes on it follows, and its number is counted once."""
    world = World()
    stopped = world.totem.start(1)
    world.run()
    others = [world.totem.start(2), world.totem.start(3)]
    for _ in range(ROUNDS):
        for process in others * 40:
            world.totem.order(process)
            world.read(process)
        for process in others:
            if not process.machine.in_sync:
                world.totem.send(process, process.machine.retry())
    assert all(process.machine.in_sync for process in [stopped, *others])
    world.add(stopped)
    world.add(others[0])
    world.settle()
    world.check()
    assert world.counted() == [1, 1]


def test_strangers_letters_are_not_counted() -> None:
    """What is no letter of ours changes nothing and gets no answer."""
    me = Address(1, 1)
    replica = counter.Replica(me)
    replica.view((me,), False)
    assert replica.letter(Address(2, 2), "add", "no history", "three") == []
    assert replica.letter(Address(2, 2), "shout") == []
    assert (replica.value, replica.count) == (0, 0)
