"""One program, every engine: who uses a domain need not know which one is under it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import anyio
import pytest

import aiocpg
from aiocpg import Connection, Guarantee, Opening, evs
from aiocpg.evs import Delivery, Evs, RegularConfiguration, TransitionalConfiguration
from aiocpg.testing import CorosyncCluster
from support.evs import data_until, read_until, to_end, together
from support.running import PATIENCE

pytestmark = pytest.mark.anyio

Connect: TypeAlias = Callable[[], Opening[Connection]]

SAFE = Guarantee.SAFE

_numbers = itertools.count(1)


# -- Where it runs: three ways in each time, to processes that meet


def in_memory(request: pytest.FixtureRequest) -> list[Connect]:
    """A node for each, inside this process."""
    name = f"same-evs-{next(_numbers)}"
    return [lambda node=node: aiocpg.connect(f"memory://{name}?node={node}") for node in (1, 2, 3)]


def on_corosync(request: pytest.FixtureRequest) -> list[Connect]:
    """A node for each, with a real daemon."""
    cluster: CorosyncCluster = request.getfixturevalue("cluster")
    return [node.connect for node in cluster.nodes]


def on_this_host(request: pytest.FixtureRequest) -> list[Connect]:
    """A pid for each, at one broker."""
    request.getfixturevalue("local_directory")
    return [lambda pid=pid: aiocpg.connect(f"local://same-evs?pid={pid}") for pid in (1, 2, 3)]


WORLDS = {"memory": in_memory, "local": on_this_host, "corosync": on_corosync}


@pytest.fixture(params=WORLDS.values(), ids=WORLDS.keys())
def connects(request: pytest.FixtureRequest) -> list[Connect]:
    """Three ways in."""
    ways: list[Connect] = request.param(request)
    return ways


# -- The program


async def use_a_domain(connects: Sequence[Connect]) -> None:
    """Three meet, send with all guarantees, small and large; one leaves, one crashes; all have had the same."""
    async with contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(connect()) for connect in connects]
        opened = [await stack.enter_async_context(evs.connect(connection=cpg)) for cpg in connections]
        one, two, three = opened
        await together(opened)
        for each in opened:
            await each.join("all", str(each.me))
        await talk(opened)
        await part(one, two, three, connections[2])


async def talk(opened: Sequence[Evs]) -> None:
    """Everybody sends; the ordered ones come in one order to all, whole, once."""
    async with anyio.create_task_group() as tasks:
        for each in opened:
            tasks.start_soon(say, each)
    ticket = await opened[0].mcast_groups(["all"], b"talked", guarantee=SAFE)
    assert (await ticket.delivered()).configuration.members == opened[0].membership_get().members
    logs = [await deliveries_until(each, b"talked") for each in opened]
    ordered = [[(e.sender, e.data, e.guarantee) for e in log if e.guarantee is not Guarantee.UNORDERED] for log in logs]
    assert ordered[0] == ordered[1] == ordered[2]
    for log in logs:
        assert len(log) == len({(event.sender, event.data) for event in log}) == 3 * 62 + 1
        assert not any(event.transitional for event in log)


async def deliveries_until(each: Evs, last: bytes) -> list[Delivery]:
    """The messages to all, up to this one."""
    events = await read_until(each, lambda event: isinstance(event, Delivery) and event.data == last)
    return [event for event in events if isinstance(event, Delivery)]


async def say(each: Evs) -> None:
    """Sixty small ones, two large ones, the last of them confirmed."""
    me = str(each.me).encode()
    guarantees = itertools.cycle(Guarantee)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(each.mcast_groups, ["all"], me.ljust(3_000_000), guarantee=SAFE))
        for number in range(60):
            ticket = await each.mcast_groups(["all", "none"], b"%s %d" % (me, number), guarantee=next(guarantees))
    await ticket.delivered()
    await each.mcast_joined(me, b"large".ljust(2_000_000))


async def part(one: Evs, two: Evs, three: Evs, crashing: Connection) -> None:
    """Open groups to one alone, a crash and an end in order."""
    for other in (one, two, three):
        await (await one.mcast_groups([str(other.me)], b"for you alone", guarantee=SAFE)).delivered()
    for each in (one, two, three):
        assert await data_until(each, b"for you alone") == [b"for you alone"]
    gone = three.me
    crashing._session.abandon()  # ends a connection as the end of its process would
    await to_end(three)
    transitional, regular = await read_until(one, lambda event: isinstance(event, RegularConfiguration))
    assert isinstance(transitional, TransitionalConfiguration)
    assert isinstance(regular, RegularConfiguration)
    assert (transitional.members, transitional.left) == (regular.members, (gone,)) == ((one.me, two.me), (gone,))
    await (await two.mcast_joined(b"goodbye", guarantee=SAFE)).delivered()
    await two.aclose()
    events = await read_until(one, lambda event: isinstance(event, RegularConfiguration))
    assert [type(event) for event in events] == [Delivery, TransitionalConfiguration, RegularConfiguration]
    assert one.membership_get().members == (one.me,)


async def test_program_runs_unchanged_on_every_engine(connects: list[Connect]) -> None:
    """Joins, order, guarantees, large messages, a crash and an end are the same."""
    with anyio.fail_after(2 * PATIENCE):
        await use_a_domain(connects)
