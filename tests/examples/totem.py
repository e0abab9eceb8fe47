"""
A model of what Corosync does to a group, bad days included, for state machines that work on its order. No I/O, no time.

Within a ring all processes read one sequence of views and letters, each at its own pace. What a process sends waits in
its queue, over ring changes too, and keeps its order. A ring change may take what others sent from those who had not
read it yet, alike for all who go on together, and between nodes that meet some letters of the first are lost.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from aiocpg import Address

Letter: TypeAlias = tuple[Any, ...]

LOST = (0, 0, 1, 5, 40)
"""How many letters of one node another one misses after the two have met: one of these."""


class Machine(Protocol):
    """A state machine under test."""

    def view(self, members: tuple[Address, ...], is_merge: bool) -> list[Letter]:
        """The membership has changed."""

    def letter(self, sender: Address, kind: str, *rest: Any) -> list[Letter]:
        """A letter has come."""


@dataclass(frozen=True)
class Entry:
    """One place in a ring's order: a view, or a letter of ``sender``."""

    place: int
    sender: Address | None
    letter: Letter = ()
    members: tuple[Address, ...] = ()
    is_merge: bool = False


@dataclass
class Process:
    """A member."""

    address: Address
    machine: Any
    unsent: deque[Letter] = field(default_factory=deque)
    unread: deque[Entry] = field(default_factory=deque)
    read: int = 0
    """The place it has read up to."""


class Ring:
    """Some nodes that hear each other."""

    def __init__(self, number: int, nodes: Iterable[int]) -> None:
        self.number = number
        self.nodes = frozenset(nodes)
        self.processes: list[Process] = []
        self.deaf: dict[tuple[int, int], int] = {}
        """How many more letters of one node another one will miss."""
        self.last_view = self.places = 0

    def append_view(self, *, is_merge: bool = False) -> None:
        """All read of the processes there are now."""
        self.places += 1
        self.last_view = self.places
        members = tuple(sorted(process.address for process in self.processes))
        for process in self.processes:
            process.unread.append(Entry(self.places, None, members=members, is_merge=is_merge))

    def append_letter(self, sender: Address, letter: Letter) -> None:
        """All read the letter who are not deaf to the sender's node."""
        self.places += 1
        for process in self.processes:
            if not self._misses(sender.nodeid, process.address.nodeid):
                process.unread.append(Entry(self.places, sender, letter))
        for pair in self.deaf:
            if pair[0] == sender.nodeid and self.deaf[pair]:
                self.deaf[pair] -= 1

    def _misses(self, sender: int, reader: int) -> bool:
        return self.deaf.get((sender, reader), 0) > 0


class Totem:
    """The nodes, their rings, and the processes on them."""

    def __init__(self, nodes: int, make: Callable[[Address], Machine]) -> None:
        self._make = make
        self._pids = self._rings = 0
        self.nodes = range(1, nodes + 1)
        self.rings = [self._ring(self.nodes)]

    @property
    def processes(self) -> list[Process]:
        """All that live."""
        return [process for ring in self.rings for process in ring.processes]

    def ring_of(self, process: Process) -> Ring:
        """The ring a process is on."""
        return next(ring for ring in self.rings if process in ring.processes)

    def start(self, nodeid: int) -> Process:
        """A process joins on a node."""
        self._pids += 1
        address = Address(nodeid, self._pids)
        process = Process(address, self._make(address))
        ring = next(ring for ring in self.rings if nodeid in ring.nodes)
        ring.processes.append(process)
        process.read = ring.places
        ring.append_view()
        return process

    def end(self, process: Process, sent: int) -> None:
        """A process is gone; so many of the letters in its queue go out before."""
        ring = self.ring_of(process)
        for _ in range(min(sent, len(process.unsent))):
            self.order(process)
        ring.processes.remove(process)
        ring.append_view()

    def send(self, process: Process, letters: Iterable[Letter]) -> None:
        """A process hands letters to its node."""
        process.unsent.extend(letters)

    def order(self, process: Process) -> None:
        """The oldest letter in a process's queue gets its place."""
        if process.unsent:
            self.ring_of(process).append_letter(process.address, process.unsent.popleft())

    def read(self, process: Process) -> Entry | None:
        """A process reads one entry, if there is one."""
        if not process.unread:
            return None
        entry = process.unread.popleft()
        process.read = entry.place
        if entry.sender is None:
            self.send(process, process.machine.view(entry.members, entry.is_merge))
        else:
            self.send(process, process.machine.letter(entry.sender, *entry.letter))
        return entry

    def regroup(self, sides: Iterable[Iterable[int]], chance: random.Random) -> None:
        """The network is cut or healed: these nodes hear each other now."""
        before, self.rings = self.rings, []
        for nodes in sides:
            side = self._ring(nodes)
            parts = [[p for p in ring.processes if p.address.nodeid in side.nodes] for ring in before]
            for ring, part in zip(before, parts, strict=True):
                _recover(ring, part, chance)
            self._meet(side, before, [part for part in parts if part], chance)
            self.rings.append(side)

    def _meet(self, side: Ring, before: list[Ring], parts: list[list[Process]], chance: random.Random) -> None:
        for one in side.nodes:
            for other in side.nodes:
                if not any({one, other} <= ring.nodes for ring in before):
                    side.deaf[one, other] = chance.choice(LOST)
        side.processes = [process for part in parts for process in part]
        if side.processes:
            side.append_view(is_merge=len(parts) > 1)

    def _ring(self, nodes: Iterable[int]) -> Ring:
        self._rings += 1
        return Ring(self._rings, nodes)


def _recover(ring: Ring, part: list[Process], chance: random.Random) -> None:
    """Those who go on together have the same behind them: what one has read or sent, and some of the rest."""
    if not part:
        return
    together = {process.address.nodeid for process in part}
    cut = chance.randint(max(ring.last_view, *(process.read for process in part)), ring.places)
    for process in part:
        process.unread = deque(
            entry
            for entry in process.unread
            if entry.place <= cut or (entry.sender is not None and entry.sender.nodeid in together)
        )
        # Places begin anew on the new ring; what is left of the old one is read before.
        process.unread = deque(Entry(0, e.sender, e.letter, e.members, e.is_merge) for e in process.unread)
        process.read = 0
