"""One program, every engine: who uses groups need not know which one is under them."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from typing import TypeAlias

import anyio
import pytest

import aiocpg
from aiocpg import Connection, Event, Group, Message, Opening, Reason, View
from aiocpg.testing import CorosyncCluster
from support.running import PATIENCE

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed

Connect: TypeAlias = Callable[[], Opening[Connection]]

_numbers = itertools.count(1)


# -- Where it runs: three ways in each time, to processes that meet


def in_memory(request: pytest.FixtureRequest) -> list[Connect]:
    """A node for each, inside this process."""
    name = f"same-program-{next(_numbers)}"
    return [lambda node=node: aiocpg.connect(f"memory://{name}?node={node}") for node in (1, 2, 3)]


def on_corosync(request: pytest.FixtureRequest) -> list[Connect]:
    """A node for each, with a real daemon."""
    cluster: CorosyncCluster = request.getfixturevalue("cluster")
    return [node.connect for node in cluster.nodes]


def on_this_host(request: pytest.FixtureRequest) -> list[Connect]:
    """A pid for each, at one broker."""
    request.getfixturevalue("local_directory")
    return [lambda pid=pid: aiocpg.connect(f"local://same-program?pid={pid}") for pid in (1, 2, 3)]


WORLDS = {"memory": in_memory, "local": on_this_host, "corosync": on_corosync}


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())
def connects(request: pytest.FixtureRequest) -> list[Connect]:
    """Three ways in."""
    ways: list[Connect] = request.param(request)
    return ways


# -- The program


class Reader:
    """Keeps what one member has had, up to the end."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.events: list[Event] = []
        self.has_ended = False
        self._changed = anyio.Event()

    async def run(self) -> None:
        """Read until the group is left or lost."""
        async for event in self.group:
            self.events.append(event)
            self._turn()
        self.has_ended = True
        self._turn()

    def _turn(self) -> None:
        reached, self._changed = self._changed, anyio.Event()
        reached.set()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that comes with an event, or with the end."""
        while not condition():
            await self._changed.wait()

    def views(self) -> list[View]:
        """The views so far."""
        return [event for event in self.events if isinstance(event, View)]

    def has(self, data: bytes) -> bool:
        """Whether this message has come."""
        return any(isinstance(event, Message) and event.data == data for event in self.events)

    def log(self, *, behind: aiocpg.Address) -> list[object]:
        """What stands in the order behind somebody's join: messages, and who came and went."""
        start = next(
            place for place, event in enumerate(self.events) if isinstance(event, View) and behind in event.joined
        )
        return [
            (event.sender, event.data) if isinstance(event, Message) else (event.members, event.joined, event.left)
            for event in self.events[start + 1 :]
            if isinstance(event, (Message, View))
        ]


def crash(cpg: Connection) -> None:
    """End a connection as the end of its process would: without a leave, and without waiting."""
    cpg._session.abandon()


async def meet_talk_and_part(connects: Sequence[Connect]) -> None:
    """Three join and talk, one crashes, one leaves; all have had the same."""
    async with contextlib.AsyncExitStack() as stack, anyio.create_task_group() as tasks:
        connections = [await stack.enter_async_context(connect()) for connect in connects]
        readers = [Reader(await cpg.join("same")) for cpg in connections]
        first, second, third = readers
        everybody = tuple(sorted(reader.group.me for reader in readers))
        for reader in readers:
            tasks.start_soon(reader.run)
            await reader.until(lambda: reader.group.members == everybody and reader.views())  # noqa: B023
        async with anyio.create_task_group() as talk:
            for reader in readers:
                talk.start_soon(say, reader.group, 20)
        for reader, other in itertools.product(readers, readers):
            await reader.until(lambda: reader.has(b"%d:%d says 19" % other.group.me))  # noqa: B023
        crash(connections[2])
        await first.until(lambda: first.views()[-1].left == {third.group.me: Reason.PROCDOWN})
        await second.until(lambda: second.views()[-1].left == {third.group.me: Reason.PROCDOWN})
        await second.group.mcast(b"goodbye")
        await second.group.leave()
        await second.until(lambda: second.has_ended)
        await first.until(lambda: first.views()[-1].left == {second.group.me: Reason.LEAVE})
        assert first.group.members == (first.group.me,)
        await first.group.leave()
    newest = third.group.me
    logs = [reader.log(behind=newest) for reader in readers]
    assert logs[0][: len(logs[1])] == logs[1]
    assert logs[0][: len(logs[2])] == logs[2]
    assert (second.group.me, b"goodbye") in logs[1]
    for reader in readers:
        said = [data for who, data, *rest in reader.log(behind=newest) if not rest and who == first.group.me]
        assert said == [b"%d:%d says %d" % (*first.group.me, number) for number in range(20)]


async def say(group: Group, count: int) -> None:
    """Send so many, the last one confirmed."""
    for number in range(count - 1):
        await group.mcast(b"%d:%d says %d" % (*group.me, number))
    await group.mcast_confirmed(b"%d:%d says %d" % (*group.me, count - 1))


async def test_program_runs_unchanged_on_every_engine(connects: list[Connect]) -> None:
    """Joins, order, a crash and a leave are the same."""
    with anyio.fail_after(PATIENCE):
        await meet_talk_and_part(connects)
