"""One walk, from its seed to what its members have seen."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import anyio

from aiocpg.testing import CorosyncCluster
from evs.sim.checker import Summary
from faults.evs_walk.players import Player, Process
from faults.evs_walk.schedule import CHILDREN, NODES, Action, Step, schedule
from faults.evs_walk.stage import settle, staged
from faults.watching import until

TOKEN = 300
"""Milliseconds until the clusters of walks notice a lost token. A busy machine may lose one in health: so be it."""

SPOTS = {**{node: node for node in NODES}, **CHILDREN}
"""Where members are: spot -> node."""


class Walk:
    """
    Members on all nodes of a cluster, some in processes of their own, and a schedule.

    Args:
        cluster: Three nodes.
        seed: Of what the members send and are like, and of the schedule where no steps are given.
        folder: For what the members in other processes record.
        steps: What is done.

    Attributes:
        players: All members that there were.
        diary: What was done so far, and when, in seconds.
        here: Spot -> who is there.
    """

    def __init__(self, cluster: CorosyncCluster, seed: int, folder: Path, steps: Sequence[Step] | None = None) -> None:
        self._cluster = cluster
        self._seed = seed
        self._folder = folder
        self._steps = schedule(seed) if steps is None else steps
        self._rng = random.Random(f"members {seed}")
        self._evict_after = self._rng.choice((None, None, 1.5))
        self._processes: dict[int, Process] = {}
        self._killed: set[int] = set()
        self.here: dict[int, Player] = {}
        self.players: list[Player] = []
        self.diary: list[str] = []
        self._actions: Mapping[Action, Callable[[Step], Awaitable[None]]] = {
            "start": self._start,
            "traffic": self._traffic,
            "formed": lambda step: cluster.until_formed(*step.sides),
            "dwell": lambda step: anyio.sleep(step.count / 1000),
        }
        self._deeds: Mapping[Action, Callable[[Step], None]] = {
            "kill": lambda step: cluster.node(step.spot).kill(),
            "terminate": lambda step: cluster.node(step.spot).terminate(),
            "stop": lambda step: cluster.node(step.spot).stop(),
            "cont": lambda step: cluster.node(step.spot).cont(),
            "partition": lambda step: cluster.partition(*step.sides),
            "heal": lambda _: cluster.heal(),
            "pause": lambda step: self._processes[step.spot].stop(),
            "resume": lambda step: self._processes[step.spot].cont(),
            "murder": lambda step: self._processes[step.spot].kill(),
            "spawn": lambda step: self._fill(step.spot),
            "leave": lambda step: self.here[step.spot].command("leave"),
            "close": lambda step: self.here[step.spot].command("close"),
            "join": lambda step: self.here[step.spot].command("join"),
        }

    async def run(self) -> Summary:
        """Walk, settle, and check."""
        self._began = time.monotonic()
        async with staged(self._cluster, self._folder) as self._stage:
            self.players = self._stage.players
            for spot in SPOTS:
                self._fill(spot)
            for step in self._steps:
                self._note(str(step))
                await self._do(step)
            self._note("settle")
            await settle(list(self.here.values()))
            self._note("end")
        self._check_losses()
        return self._stage.check()

    def _note(self, text: str) -> None:
        self.diary.append(f"{time.monotonic() - self._began:.3f} {text}")

    def _fill(self, spot: int) -> None:
        """Let a member come to a spot."""
        profile = {
            "seed": str(self._seed),
            "reconnect": self._rng.random() < 0.5,
            "evict_after": self._evict_after,
        }
        if spot in CHILDREN:
            process = self._processes[spot] = self._stage.enter_apart(SPOTS[spot], profile)
            [self.here[spot]] = process.players
        else:
            self.here[spot] = self._stage.enter(SPOTS[spot], **profile)

    async def _do(self, step: Step) -> None:
        if step.action in {"kill", "terminate"}:
            self._killed.add(step.spot)
        if step.action in self._deeds:
            self._deeds[step.action](step)
        else:
            await self._actions[step.action](step)

    async def _start(self, step: Step) -> None:
        node = self._cluster.node(step.spot)
        await node.until_gone()
        node.start()

    async def _traffic(self, step: Step) -> None:
        """While somebody is stopped SAFE is held, and soon the windows are full."""
        goal = self._sent + step.count
        with anyio.move_on_after(2):
            await until(lambda: self._sent >= goal)

    @property
    def _sent(self) -> int:
        return sum(player.story.sent for player in self.players)

    def _check_losses(self) -> None:
        """Nobody's connection was lost but where a daemon was ended."""
        for player in self.players:
            if player.story.counts["lives lost"]:
                assert player.node.nodeid in self._killed, f"{player} has lost a daemon that nobody ended"
