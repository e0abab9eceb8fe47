"""A cluster with its processes: what can be done to it, and how it comes to rest."""

from __future__ import annotations

from random import Random

from aiocpg import Address, RingId
from evs.sim import again
from evs.sim.checker import Summary, check
from evs.sim.daemon import Daemon
from evs.sim.history import Violation
from evs.sim.modes import Mode
from evs.sim.process import Process
from evs.sim.rings import Legacy, Ring
from evs.sim.strangers import Stranger
from evs.sim.watch import Watch

MOST_ROUNDS = 120
"""Rounds of waiting in which everything has to come to rest."""


class World:
    """
    A cluster.

    Attributes:
        daemons: Those of all nodes, also where they are down.
        processes: All there ever were, living or not.
        strangers: Processes that are no endpoints.
        now: Seconds.
    """

    def __init__(self, mode: Mode, rng: Random, nodes: int) -> None:
        self.mode = mode
        self.rng = rng
        self.now = 0.0
        self.daemons = [Daemon(node + 1, rng, mode) for node in range(nodes)]
        self.processes: list[Process] = []
        self.strangers: list[Stranger] = []
        self._watch = Watch(mode, self._is_up, self._lives)
        self._pid = 100

    def _is_up(self, address: Address) -> bool:
        there = [process for process in self.processes if process.address == address]
        return bool(there) and all(one.is_up and one.endpoint is not None and len(one.lives) == 1 for one in there)

    def _lives(self, address: Address) -> int:
        return sum(len(process.lives) for process in self.processes if process.address == address)

    @property
    def up(self) -> list[Daemon]:
        """The daemons that run."""
        return [daemon for daemon in self.daemons if daemon.is_up]

    @property
    def living(self) -> list[Process]:
        """The processes that live."""
        return [process for process in self.processes if process.is_up]

    # -- Processes

    def spawn(self, daemon: Daemon, pid: int | None = None) -> None:
        """Start a process, under a new pid if none is given."""
        self._pid += 1
        address = Address(daemon.node, pid or self._pid)
        self.processes.append(Process(address, daemon, self.mode, self.rng, self._watch))

    def let_stranger_in(self, daemon: Daemon) -> None:
        """Start a process that is no endpoint."""
        self._pid += 1
        self.strangers.append(Stranger(Address(daemon.node, self._pid), daemon, self.rng))

    def kill(self, process: Process) -> None:
        """Kill a process."""
        process.crash()
        if process.daemon.is_up:
            process.daemon.bury(process)

    # -- Nodes

    def crash(self, daemon: Daemon) -> None:
        """Crash a node; in some modes its processes may outlive the daemon."""
        daemon.stop()
        for stranger in self.strangers:
            if stranger.daemon is daemon:
                stranger.end()
        for process in self.living:
            if process.daemon is not daemon:
                continue
            if self.rng.random() < self.mode.survivors:
                process.lose(self.now)
            else:
                process.crash()

    def restart(self, daemon: Daemon) -> None:
        """Start a crashed node again, with a new process that may have the pid of an old one."""
        daemon.start()
        dead = sorted({one.address.pid for one in self.processes if one.daemon is daemon and not one.is_up})
        taken = {one.address.pid for one in self.living if one.daemon is daemon}
        free = [pid for pid in dead if pid not in taken]
        self.spawn(daemon, self.rng.choice(free) if free and self.rng.random() < 0.7 else None)

    def divide(self, parts: list[list[Daemon]]) -> None:
        """Let these form rings. Where a ring is as it should be, it stays."""
        for part in parts:
            ring, nodes = part[0].ring, frozenset(daemon.node for daemon in part)
            is_formed = all(daemon.ring is ring and not daemon.is_busy for daemon in part)
            if not (is_formed and ring.nodes == nodes):
                self.form(part)

    def form(self, part: list[Daemon]) -> None:
        """Let these form a new ring. Each moves to it when it gets there, if nothing comes between."""
        nodes = frozenset(daemon.node for daemon in part)
        seq = max(daemon.seq for daemon in part) + 4
        legacies: dict[int, Legacy] = {}
        for daemon in part:
            others = [other for other in part if other.ring is daemon.ring]
            legacies[daemon.node] = daemon.legacy_of(others)
        ring = Ring(RingId(min(nodes), seq), nodes, legacies)
        for daemon in part:
            daemon.ring.is_over = True
            daemon.next, daemon.seq = ring, seq

    # -- Coming to rest

    def run_down(self) -> bool:
        """Let everything happen that can happen by now; returns whether that came to an end."""
        for _ in range(400):
            did = False
            for daemon in self.up:
                if daemon.next is not None:
                    daemon.move()
                    did = True
                while daemon.say():
                    did = True
            for daemon in self.up:
                did |= daemon.hear(everything=True)
                did |= daemon.deliver(50)
            for process in self.processes:
                did |= process.turn(self.now, 50)
            if not did:
                return True
        return False

    def settle(self) -> None:
        """Let no more faults happen, and wait until all has come to rest. Raises Violation."""
        for process in self.processes:
            process.is_stopped = False
        for stranger in self.strangers:
            stranger.end()
        for daemon in self.daemons:
            if not daemon.is_up and any(process.daemon is daemon for process in self.living):
                daemon.start()
        for number in range(MOST_ROUNDS):
            if self.mode.loses_joins and number % 8 == 2:
                self.form(self.up)  # what is wrong with the lists is mended when a ring is formed
            self.divide([self.up])
            self.run_down()
            if number > 2 and all(process.is_calm for process in self.processes):
                return
            deadlines = [one.deadline for one in self.processes if one.deadline is not None]
            self.now = max(self.now + 0.1, min(deadlines, default=0.0))
        self._complain()

    def _complain(self) -> None:
        for process in self.processes:
            if not process.is_calm:
                held = process.endpoint.views.laggards if process.endpoint and process.endpoint.views else None
                raise Violation("S7", f"{process.address} still waits for {held}")

    # -- The judgement

    def check(self) -> Summary:
        """Check what happened. Raises Violation."""
        lives = [life for process in self.processes for life in process.results()]
        strangers = [stranger.address for stranger in self.strangers]
        is_exact = self.mode.is_sound and (self.mode.strict or not any(daemon.holes for daemon in self.daemons))
        for process in self.processes:
            if process.is_up and process.outbox.under_way:
                raise Violation("S6", f"the window of {process.address} did not return to 0")
            if not self.mode.has_safe and set(process.counts.sent) - {"data", "probe"}:
                raise Violation("S10", f"{process.address} sent {process.counts.sent} though nothing is SAFE")
            for tape in process.tapes:
                again.check(process.address, self.mode, tape)
        return check(lives, strangers=strangers, is_exact=is_exact, loses_joins=self.mode.loses_joins)
