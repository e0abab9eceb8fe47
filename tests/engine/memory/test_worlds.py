"""Worlds by name: how long each lives, who makes a cluster's own, and what a fork has of them."""

from __future__ import annotations

import pytest

import aiocpg
from aiocpg.engine.memory import World, check_name, find_world, private_name
from aiocpg.testing import MemoryCluster
from support.handles import finish, python

pytestmark = pytest.mark.anyio


async def test_world_lives_while_somebody_is_in_it() -> None:
    """Then the name is as new: pids and rings begin again."""
    async with aiocpg.connect("memory://lives") as one:
        async with aiocpg.connect("memory://lives") as other, other.join("group") as group:
            assert group.me == (1, 2)
        async with aiocpg.connect("memory://lives?node=2") as third, third.join("group") as group:
            assert (group.me, group.view.ring_id.seq > 4) == ((2, 3), True)
        assert await one.groups() == {}
    async with aiocpg.connect("memory://lives") as again, again.join("group") as group:
        assert (group.me, group.view.ring_id) == ((1, 1), (1, 4))


async def test_worlds_do_not_meet() -> None:
    """Two names are two worlds."""
    async with (
        aiocpg.connect("memory://one") as one,
        aiocpg.connect("memory://other") as other,
        one.join("group"),
    ):
        assert await other.groups() == {}


async def test_world_of_a_cluster_is_over_when_that_is_closed() -> None:
    """Nobody makes it anew by its URL; whoever goes back to it is told that there is no way."""
    with MemoryCluster() as cluster:
        url = cluster.node(1).url
        cpg = await aiocpg.connect(url, reconnect=aiocpg.Reconnect(first_pause=0.001))
        rings = cpg.rings()
        await anext(rings)
    with pytest.raises(aiocpg.EngineUnavailableError, match="is over"):
        await aiocpg.connect(url)
    with pytest.raises(aiocpg.ConnectionLostError, match="ended with its MemoryCluster"):
        await anext(rings)
    with pytest.raises(aiocpg.EngineUnavailableError, match="is over"):
        await anext(rings)
    await cpg.aclose()


def test_world_is_the_same_for_all_who_look() -> None:
    """Until it is forgotten, which happens once."""
    world = find_world("looked-for")
    assert find_world("looked-for") is world
    world.release()
    again = find_world("looked-for")
    assert again is not world
    world.release()
    assert find_world("looked-for") is again
    again.release()


def test_private_names_are_new_each_time() -> None:
    """And can be names."""
    names = {private_name() for _ in range(3)}
    assert len(names) == 3
    for name in names:
        check_name(name)
        with pytest.raises(aiocpg.EngineUnavailableError):
            find_world(name)


@pytest.mark.parametrize("name", ["", "a b", "x?node=1", "x/y", "-x"])
def test_name_that_cannot_be_one_is_refused(name: str) -> None:
    """As in a URL."""
    with pytest.raises(aiocpg.UsageError):
        check_name(name)


def test_new_world_is_empty() -> None:
    """No nodes, and nobody controls it."""
    world = World("empty", lambda world: None)
    assert (world.url, world.nodes, world.is_controlled) == ("memory://empty", {}, False)


FORK = """
import asyncio, os, sys, aiocpg

async def child(group):
    try:
        await group.mcast(b"from the child")
    except aiocpg.ForkedError:
        pass
    else:
        raise AssertionError("the parent's group works in a child")
    await group.leave()

async def fresh():
    async with aiocpg.connect("memory://forked") as cpg, cpg.join("group") as mine:
        assert mine.me == (1, 1), mine.me
        assert mine.members == (mine.me,), mine.members

async def main():
    async with aiocpg.connect("memory://forked") as cpg, cpg.join("group") as group:
        if pid := os.fork():
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            await group.mcast_confirmed(b"from the parent")
            assert group.members == (group.me,)
            print("child ended with", status)
            return
        code = 1
        try:
            membership = group._life.membership
            for use in (lambda: membership.mcast(b"x"), lambda: membership.mcast_many([b"x"])):
                try:
                    use()
                except aiocpg.ForkedError:
                    pass
                else:
                    raise AssertionError("the parent's membership works in a child")
            membership.abandon()
            try:
                child(group).send(None)
            except StopIteration:
                pass
            asyncio._set_running_loop(None)
            asyncio.set_event_loop_policy(None)
            asyncio.run(fresh())
            code = 0
        except BaseException as error:
            print(repr(error), flush=True)
        finally:
            os._exit(code)

asyncio.run(main())
"""


def test_fork_begins_with_no_worlds_and_leaves_the_parents_alone() -> None:
    """The same name is another world there; what was opened before is refused, and goes on in the parent."""
    assert finish(python(FORK)) == "child ended with 0\n"
