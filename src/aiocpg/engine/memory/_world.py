"""One world: its nodes, who runs on them, what is broken, and the one order. All of it is used under the lock."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aiocpg._events import Address, RingChange
from aiocpg._loop import LoopPort
from aiocpg._state.quorum import NoQuorumProvider, QuorumState, majority
from aiocpg.engine._sequencer import Seat, Sequencer, Take
from aiocpg.engine.memory._loops import Loop
from aiocpg.errors import ConnectionLostError, CPGError, EngineUnavailableError, ForkedError


class Process(Protocol):
    """One that runs on a node: what an engine is to its world."""

    address: Address
    loop: Loop

    def told(self, ring: RingChange) -> None:
        """Its node is on this ring, perhaps as before."""

    def lose(self, error: CPGError) -> None:
        """It is gone, and its members with it."""

    def abandon(self) -> None:
        """Its loop has ended."""

    def go_on(self) -> None:
        """Its node serves again, or takes messages again, or hands out in other portions."""


class Node:
    """
    What stands for a daemon.

    Attributes:
        runs: Whether it does.
        is_stopped: It stands still: answers nothing, delivers nothing, takes nothing.
        is_congested: It takes no messages.
        portion: How many records a member gets at the most each time its loop goes round; None: all.
        owed: What was done to it while it stood still.
    """

    def __init__(self, nodeid: int) -> None:
        self.nodeid = nodeid
        self.portion: int | None = None
        self.runs = False
        self.reset()

    def reset(self) -> None:
        """As one that has just been started, but for its portions."""
        self.is_stopped = False
        self.is_congested = False
        self.owed: list[Callable[[], object]] = []

    @property
    def takes_messages(self) -> bool:
        """Whether it does now."""
        return not (self.is_stopped or self.is_congested)


class World:
    """
    One world.

    Args:
        name: Its name.
        forget: Called when nobody is in it any more.

    Attributes:
        is_controlled: Somebody controls it: its nodes are those there are, and run when told to.
        seed: Of what is left to chance.
        has_quorum: Whether it decides what a majority of its nodes is.
        order: Who is in which group, and what they get.
        nodes: By number.
    """

    def __init__(self, name: str, forget: Callable[[World], object]) -> None:
        self.name = name
        self.is_controlled = False
        self.seed = 0
        self.has_quorum = True
        self.order = Sequencer()
        self.nodes: dict[int, Node] = {}
        self._forget = forget
        self._processes: dict[Process, None] = {}
        self._loops: list[Loop] = []
        self._sides: list[frozenset[int]] = []
        self._pids = itertools.count(1)
        self._due: deque[Callable[[], object]] = deque()
        self._is_ordering = False

    @property
    def url(self) -> str:
        """How to get here."""
        return f"memory://{self.name}"

    # -- Processes

    def node(self, nodeid: int) -> Node:
        """
        A node that runs; where nobody controls the world it is started when it is asked for.

        Raises:
            EngineUnavailableError: It does not run.
        """
        node = self.nodes.get(nodeid)
        if node is None:
            if self.is_controlled:
                raise EngineUnavailableError(
                    f"there is no node {nodeid} in {self.url}", f"its MemoryCluster has {len(self.nodes)} nodes, from 1"
                )
            node = self.start(nodeid)
        if not node.runs:
            raise EngineUnavailableError(
                f"node {nodeid} of {self.url} does not run", "start() it, it was killed or terminated", transient=True
            )
        return node

    def next_pid(self) -> int:
        """The pid of the next process that wants none in particular."""
        taken = {process.address.pid for process in self._processes}
        return next(pid for pid in self._pids if pid not in taken)

    def loop(self, port: LoopPort) -> Loop:
        """The running loop, the same one for all who run in it."""
        loop = next((loop for loop in self._loops if loop.is_here()), None)
        if loop is None:
            loop = Loop(port, self._loop_ended)
            self._loops.append(loop)
        return loop

    def enter(self, process: Process) -> None:
        """One more runs here."""
        self._processes[process] = None

    def exit(self, process: Process) -> None:
        """One less; the last one takes the world with it, unless somebody controls it."""
        self._processes.pop(process, None)
        self._loops = [loop for loop in self._loops if any(one.loop is loop for one in self._processes)]
        self._look()

    def control(self, nodeids: Iterable[int], seed: int, *, has_quorum: bool = True) -> None:
        """From now on somebody controls it, and these are its nodes, on one ring. It must be new."""
        self.is_controlled = True
        self.seed = seed
        self.has_quorum = has_quorum
        for nodeid in nodeids:
            self.nodes[nodeid] = Node(nodeid)
            self.nodes[nodeid].runs = True
        self._reform()

    def sweep(self) -> None:
        """Find those whose loops have ended without a word."""
        for loop in self._loops:
            loop.look()

    def release(self) -> None:
        """Nobody controls it any more: its nodes end, and it with them."""
        for node in self.nodes.values():
            if node.runs:
                self._end(node, "ended with its MemoryCluster")
        self.is_controlled = False
        self._look()

    def _look(self) -> None:
        if not self._processes and not self.is_controlled:
            self._forget(self)

    def _on(self, node: Node) -> list[Process]:
        return [process for process in self._processes if process.address.nodeid == node.nodeid]

    def quorum(self, nodeid: int) -> QuorumState:
        """What a node that runs knows. A majority is one of all nodes, those that do not run among them."""
        if not self.has_quorum:
            return NoQuorumProvider(f"{self.url} was made without a quorum", "give its MemoryCluster quorum=True")
        return majority(self.order.ring(nodeid), self.nodes)

    # -- The order

    def join(self, group: bytes, address: Address, take: Take) -> Seat:
        """See :meth:`Sequencer.join`."""
        seats: list[Seat] = []
        self._do(lambda: seats.append(self.order.join(group, address, take)))
        return seats[0]

    def leave(self, seat: Seat) -> None:
        """See :meth:`Sequencer.leave`."""
        self._do(lambda: self.order.leave(seat))

    def drop(self, seat: Seat) -> None:
        """See :meth:`Sequencer.drop`; a node that stands still tells of it when it goes on."""
        node = self.nodes[seat.address.nodeid]
        if node.is_stopped:
            node.owed.append(lambda: self.drop(seat))
        else:
            self.later(lambda: self.order.drop(seat))

    def mcast(self, seat: Seat, messages: Sequence[bytes]) -> None:
        """See :meth:`Sequencer.mcast`."""
        mcast = self.order.mcast
        self._is_ordering = True
        try:
            for data in messages:
                mcast(seat, data)
        finally:
            self._is_ordering = False
            if self._due:
                self._settle()

    def later(self, step: Callable[[], object]) -> None:
        """
        Do something when what is being ordered has been told to all, now if nothing is.

        It may be asked for in the middle: by a member that has too much, a loop that has ended, the collector.
        """
        self._due.append(step)
        if not self._is_ordering:
            self._settle()

    def _do(self, step: Callable[[], object]) -> None:
        assert not self._is_ordering, "the order was asked for in the middle of it"
        self._is_ordering = True
        try:
            step()
        finally:
            self._is_ordering = False
            self.sweep()
            self._settle()

    def _settle(self) -> None:
        while self._due:
            self._is_ordering = True
            try:
                self._due.popleft()()
            finally:
                self._is_ordering = False

    def _loop_ended(self, loop: Loop) -> None:
        for process in [process for process in self._processes if process.loop is loop]:
            self.later(process.abandon)

    # -- Nodes, as whoever controls the world has them

    def start(self, nodeid: int) -> Node:
        """A node runs, with those it can reach."""
        node = self.nodes.setdefault(nodeid, Node(nodeid))
        node.reset()
        node.runs = True
        self._reform()
        return node

    def kill(self, node: Node) -> None:
        """A crash: the others see the node go."""
        self._end(node, "was killed")

    def terminate(self, node: Node) -> None:
        """An end in order: the others see its processes go, then the node."""
        if node.is_stopped:
            node.owed.append(lambda: self.terminate(node))
            return
        for process in self._on(node):
            process.lose(self._lost(node, "was terminated"))
        self._end(node, "was terminated")

    def _end(self, node: Node, how: str) -> None:
        node.runs = False
        node.reset()
        self._reform()
        for process in self._on(node):
            process.lose(self._lost(node, how))

    def _lost(self, node: Node, how: str) -> ConnectionLostError:
        return ConnectionLostError(f"node {node.nodeid} of {self.url} {how}")

    def stop(self, node: Node) -> None:
        """It stands still."""
        node.is_stopped = True

    def go_on(self, node: Node) -> None:
        """It stands still no more; what was done to it meanwhile is done now."""
        node.is_stopped = False
        owed, node.owed = node.owed, []
        for step in owed:
            step()
        self._wake(node)

    def congest(self, node: Node, *, congested: bool) -> None:
        """It takes no messages, or takes them again."""
        node.is_congested = congested
        self._wake(node)

    def portion(self, node: Node, most: int | None) -> None:
        """Its members get so many records at the most each time their loop goes round."""
        node.portion = most
        self._wake(node)

    def _wake(self, node: Node) -> None:
        for process in self._on(node):
            process.go_on()

    def crash(self, process: Process) -> None:
        """A process ends without a word."""
        process.lose(ConnectionLostError(f"process {process.address} of {self.url} was made to crash"))

    def partition(self, sides: Iterable[Iterable[int]]) -> None:
        """Nodes reach those of their side only; those in none are one more."""
        self._sides = [frozenset(side) for side in sides]
        self._reform()

    def _reform(self) -> None:
        running = {nodeid for nodeid, node in self.nodes.items() if node.runs}
        named = frozenset().union(*self._sides)
        components = [running & side for side in [*self._sides, running - named]]
        self._do(lambda: self.order.reform(filter(None, components)))
        for process in list(self._processes):
            if self.nodes[process.address.nodeid].runs:
                process.told(self.order.ring(process.address.nodeid))

    # -- Forks

    def forsake(self) -> None:
        """This process is a fork of the one whose world it is."""
        for loop in self._loops:
            loop.forsake()
        for process in list(self._processes):
            process.lose(ForkedError())
