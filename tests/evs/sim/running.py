"""One run: everything that happens in it follows from its mode and its seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from unittest.mock import patch

from aiocpg import Guarantee
from aiocpg.evs._endpoint import chain, endpoint
from evs.sim.checker import Summary
from evs.sim.daemon import Daemon
from evs.sim.modes import Mode
from evs.sim.world import World

GUARANTEES = (3 * [Guarantee.SAFE]) + [Guarantee.AGREED, Guarantee.FIFO, Guarantee.UNORDERED]

KEYS = (b"", b"a" * 32, b"a" * 32 + b"b" * 32, b"c" * 32)


class Run:
    """A run. ``counts`` are the kinds of frames that were sent, and what befell."""

    def __init__(self, mode: Mode, seed: int) -> None:
        self._rng = Random(seed)
        self._mode = mode
        self._steps = self._rng.choice([120, 250, 400])
        self._pace = self._rng.choice([0.001, 0.02, 0.1])  # seconds of a step at most: how much has to do with timers
        self._world = World(mode, self._rng, self._rng.choice([2, 3, 3, 4, 5]))
        self._number = 0
        self.counts: Counter[str] = Counter()

    def run(self) -> Summary:
        """Run, settle and check. Raises Violation."""
        with ExitStack() as stack:
            if self._mode.kept is not None:
                stack.enter_context(patch.object(chain, "KEPT", self._mode.kept))
                stack.enter_context(patch.object(chain, "_SLACK", self._mode.kept))
            if self._mode.pending is not None:
                stack.enter_context(patch.object(endpoint, "MAX_PENDING_VIEWS", self._mode.pending))
            return self._run()

    def _run(self) -> Summary:
        rng, world = self._rng, self._world
        world.divide([world.daemons])
        for daemon in world.daemons:
            for _ in range(rng.choice([1, 1, 2])):
                world.spawn(daemon)
        if rng.random() < 0.7:
            world.run_down()
        for _ in range(self._steps):
            world.now += rng.random() * self._pace
            self._step()
        world.settle()
        summary = world.check()
        for process in world.processes:
            self.counts += process.counts.sent
            self.counts["evictions"] += process.counts.evictions
            self.counts["divergences"] += process.counts.divergences
            self.counts["lives"] += len(process.lives)
        return summary

    def _step(self) -> None:
        rng, world = self._rng, self._world
        fault = 0.06 * self._mode.faults
        choice = rng.random()
        daemon = rng.choice(world.up)
        if choice < 0.2:
            self._send()
        elif choice < 0.2 + fault:
            self._break()
        elif choice < 0.34:
            daemon.say()
        elif choice < 0.5:
            daemon.hear()
        elif choice < 0.66:
            self._go_on(daemon)
        elif world.living:
            rng.choice(world.living).turn(world.now, rng.randint(1, 5))
            if world.strangers:
                rng.choice(world.strangers).turn()

    def _go_on(self, daemon: Daemon) -> None:
        if daemon.next is None:
            daemon.deliver(self._rng.randint(1, 4))
        elif self._rng.random() < 0.6:
            daemon.move()

    def _send(self) -> None:
        rng = self._rng
        able = [one for one in self._world.living if one.endpoint and one.endpoint.may_send and not one.has_finished]
        if not able:
            return
        process = rng.choice(able)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            self._number += 1
            guarantee = rng.choice(GUARANTEES)
            if guarantee == Guarantee.SAFE and not self._mode.has_safe:
                guarantee = Guarantee.AGREED
            keys = rng.choice(KEYS)
            if rng.random() < self._mode.large:
                process.send_large(self._number, guarantee, rng.randint(8, self._mode.largest), keys)
            else:
                process.send(self._number, guarantee, rng.randint(8, 120), keys)
        if self._mode.large and rng.random() < 0.1:
            process.withdraw()

    # -- Faults

    def _break(self) -> None:
        mode, rng = self._mode, self._rng
        if mode.strangers and rng.random() < mode.strangers:
            self._bring_in_stranger()
        elif mode.restarts and rng.random() < mode.restarts:
            self._start_again()
        else:
            weights = tuple(_FAULTS.values())
            rng.choices(tuple(_FAULTS), weights)[0](self)

    def _bring_in_stranger(self) -> None:
        there = [stranger for stranger in self._world.strangers if stranger.is_up]
        if there and self._rng.random() < 0.5:
            self._rng.choice(there).end()
        else:
            self._world.let_stranger_in(self._rng.choice(self._world.up))

    def _start_again(self) -> None:
        down = [daemon for daemon in self._world.daemons if not daemon.is_up]
        if down:
            self._world.restart(self._rng.choice(down))
            self._divide()
        elif len(self._world.up) > 1:
            self._crash()

    def _divide(self) -> None:
        up = self._world.up
        self._rng.shuffle(up)
        parts: list[list[Daemon]] = [[] for _ in range(self._rng.choice([1, 1, 2, 2, 3]))]
        for daemon in up:
            self._rng.choice(parts).append(daemon)
        self._world.divide([part for part in parts if part])

    def _kill(self) -> None:
        if len(self._world.living) > 1:
            self._world.kill(self._rng.choice(self._world.living))

    def _crash(self) -> None:
        if len(self._world.up) > 1:
            self._world.crash(self._rng.choice(self._world.up))
            if self._rng.random() < 0.8:
                self._divide()

    def _spawn(self) -> None:
        self._world.spawn(self._rng.choice(self._world.up))

    def _leave(self) -> None:
        if self._world.living:
            self._rng.choice(self._world.living).leave(for_good=self._rng.random() < 0.5)

    def _stop_or_continue(self) -> None:
        if self._world.living:
            process = self._rng.choice(self._world.living)
            process.is_stopped = not process.is_stopped


_FAULTS: dict[Callable[[Run], None], float] = {
    Run._divide: 0.45,
    Run._kill: 0.12,
    Run._crash: 0.06,
    Run._spawn: 0.13,
    Run._leave: 0.08,
    Run._stop_or_continue: 0.16,
}
