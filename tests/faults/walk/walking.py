"""One walk, from its seed to the histories of its members."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio

from aiocpg.testing import CorosyncCluster
from faults.walk.members import Member
from faults.walk.records import Delivery, History
from faults.walk.schedule import Action, Step, schedule
from faults.watching import PATIENCE, until

TOKEN = 200
"""Milliseconds until the clusters of walks notice a lost token. A busy machine may lose one in health: so be it."""


class Walk:
    """
    Members on all nodes of a cluster, and a schedule.

    Attributes:
        histories: What the members saw so far.
        diary: What was done so far, and when, in seconds.
    """

    def __init__(self, cluster: CorosyncCluster, seed: int, steps: Sequence[Step] | None = None) -> None:
        self._cluster = cluster
        self._steps = schedule(seed) if steps is None else steps
        self.histories: list[History] = []
        self._members = {node.nodeid: Member(node, self.histories, seed) for node in cluster.nodes}
        self.diary: list[str] = []
        self._actions: Mapping[Action, Callable[[Step], Awaitable[None]]] = {
            "kill": self._kill,
            "terminate": self._terminate,
            "start": self._start,
            "join": self._join,
            "leave": lambda step: self._members[step.node].leave(),
            "close": lambda step: self._members[step.node].close(),
            "traffic": self._traffic,
            "formed": lambda step: cluster.until_formed(*step.sides),
        }

    async def run(self) -> Sequence[History]:
        """Walk; return what each member saw in each of its lives, up to the last message of all."""
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            for member in self._members.values():
                tasks.start_soon(member.run)
            for step in self._steps:
                self.diary.append(f"{time.monotonic() - began:.3f} {step}")
                await self._do(step)
            self.diary.append(f"{time.monotonic() - began:.3f} settle")
            await self._settle()
            for history in self.histories:
                if history.end == "here":
                    cut_behind_the_last_message(history)
            self.diary.append(f"{time.monotonic() - began:.3f} end")
            tasks.cancel_scope.cancel()
        return self.histories

    async def _do(self, step: Step) -> None:
        action = self._actions.get(step.action)
        if action is not None:
            await action(step)
        elif step.action == "partition":
            self._cluster.partition(*step.sides)
        elif step.action == "heal":
            self._cluster.heal()
        elif step.action == "stop":
            self._cluster.node(step.node).stop()
        else:
            self._cluster.node(step.node).cont()

    async def _kill(self, step: Step) -> None:
        self._members[step.node].doom("killed")
        self._cluster.node(step.node).kill()

    async def _terminate(self, step: Step) -> None:
        self._members[step.node].doom("terminated")
        self._cluster.node(step.node).terminate()

    async def _start(self, step: Step) -> None:
        node = self._cluster.node(step.node)
        await node.until_gone()
        node.start()

    async def _join(self, step: Step) -> None:
        self._members[step.node].wanted = True

    async def _traffic(self, step: Step) -> None:
        members = [self._members[node] for node in step.sides[0]]
        goals = [member.sent + step.count for member in members]
        await until(lambda: all(member.sent >= goal for member, goal in zip(members, goals, strict=True)))

    async def _settle(self) -> None:
        """Wait until all members are there and have each other's last message, however often that takes one more."""
        members = list(self._members.values())
        await until(lambda: all(member.life is not None for member in members))
        for member in members:
            member.quiet = True
        await until(lambda: all(member.is_idle for member in members))
        with anyio.fail_after(PATIENCE):
            while not self._have_each_others_last():
                for member in members:
                    await member.say()
                with anyio.move_on_after(1):
                    await until(self._have_each_others_last)

    def _have_each_others_last(self) -> bool:
        lives = [member.life for member in self._members.values()]
        if None in lives:
            return False
        last = {life.incarnation: len(life.sent) - 1 for life in lives if life is not None}
        return all(last.items() <= life.last_numbers.items() for life in lives if life is not None)


def cut_behind_the_last_message(history: History) -> None:
    """Drop what came behind the last message: it is not everybody's yet."""
    while history.records and not isinstance(history.records[-1], Delivery):
        history.records.pop()
