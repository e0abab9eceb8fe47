"""Where members come and go, and how they come to rest: all together, with everybody's last message."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from aiocpg.testing import CorosyncCluster
from evs.sim.checker import Summary, check
from faults.evs_walk.members import Profile
from faults.evs_walk.players import Player, Process
from faults.watching import until

SETTLING = 90
"""Seconds for all to come to rest. A divergence is found by requests, of which some are ten seconds apart."""


class Stage:
    """
    Members in one or several domains of a cluster.

    Attributes:
        players: All that there were.
    """

    def __init__(self, cluster: CorosyncCluster, folder: Path, tasks: TaskGroup) -> None:
        self._cluster = cluster
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tasks = tasks
        self._numbers = count(1)
        self.players: list[Player] = []
        self.processes: list[Process] = []

    def enter(self, nodeid: int, **profile: Any) -> Player:
        """Let a member come, in this process."""
        player = Player(self._cluster.node(nodeid), self._profile(profile))
        self._begin([player])
        return player

    def enter_apart(self, nodeid: int, *profiles: dict[str, Any]) -> Process:
        """Let members come in a process of their own, all in one."""
        process = Process(self._cluster.node(nodeid), [self._profile(one) for one in profiles], self._folder)
        self.processes.append(process)
        self._begin(process.players)
        return process

    def _profile(self, profile: dict[str, Any]) -> Profile:
        return Profile(next(self._numbers), **profile)

    def _begin(self, players: Sequence[Player]) -> None:
        self.players += players
        for player in players:
            self._tasks.start_soon(player.run)

    def check(self, domain: str = "walk") -> Summary:
        """Check the lives of a domain, which have come to rest."""
        return check([life for one in self.players if one.profile.domain == domain for life in one.story.lives])


@asynccontextmanager
async def staged(cluster: CorosyncCluster, folder: Path) -> AsyncIterator[Stage]:
    """Have a stage for the time of the block. Members in other processes record into the folder."""
    async with anyio.create_task_group() as tasks:
        stage = Stage(cluster, folder, tasks)
        try:
            yield stage
        finally:
            for process in stage.processes:
                process.end()
            tasks.cancel_scope.cancel()


async def until_together(players: Sequence[Player]) -> None:
    """Wait until these are all there and in one configuration of nobody else."""
    with _patience(players):
        await until(lambda: _are_together(players), patience=None)


async def settle(players: Sequence[Player]) -> None:
    """
    Wait until these are in one configuration and have each other's last message, and let them record no more.

    They send no more by themselves, and then one message each, as often as that takes.
    """
    await until_together(players)
    with _patience(players):
        for player in players:
            player.command("quiet")
        await until(lambda: all(one.story.is_parked and not one.story.open for one in players), patience=None)
        while not await _one_round(players):
            pass
        for player in players:
            player.command("freeze")
        await until(lambda: all(player.story.is_frozen for player in players), patience=None)
    assert _are_at_rest(players), "something moved when all had come to rest"


async def _one_round(players: Sequence[Player]) -> bool:
    """Let each send one message, behind which nothing is left; returns whether all have all of them in some time."""
    goals = [player.story.sent + 1 for player in players]
    for player in players:
        player.command("say")
    with anyio.move_on_after(2):
        await until(lambda: all(player.story.sent >= goal for player, goal in zip(players, goals, strict=True)))
        await until(lambda: _are_at_rest(players))
        return True
    return False


def _are_together(players: Sequence[Player]) -> bool:
    there = sorted(player.me for player in players if player.me is not None)
    configurations = [player.story.configuration for player in players]
    return len(there) == len(players) and all(one and list(one.members) == there for one in configurations)


def _are_at_rest(players: Sequence[Player]) -> bool:
    if not _are_together(players) or any(one.story.open or not one.story.is_parked for one in players):
        return False
    last = {one.me: one.story.last.get(one.me) for one in players if one.me is not None}
    return None not in last.values() and all(last.items() <= one.story.last.items() for one in players)


@contextmanager
def _patience(players: Sequence[Player]) -> Iterator[None]:
    """Say who has not come to rest, where that takes too long."""
    try:
        with anyio.fail_after(SETTLING):
            yield
    except TimeoutError:
        text = "\n".join(map(str, players))
        raise AssertionError(f"not at rest after {SETTLING} s:\n{text}") from None
