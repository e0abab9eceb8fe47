"""Trap 14: one ring change is several configuration changes, and who acts on each acts too often."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import anyio.to_thread
import pytest

from aiocpg import ConfigurationChange, Event, Group, RingChange, Stream, View
from aiocpg.testing import CorosyncCluster
from support.handles import PATIENCE
from traps.child import Child, naive
from traps.reading import until_message

pytestmark = pytest.mark.anyio

SWITCHES = [({1, 2}, {3, 4}), ({1, 3}, {2, 4}), ({1, 4}, {2, 3})]
ROUNDS = 10
"""At a switch nearly always some node loses its neighbour and finds another in one ring change."""


class Place:
    """One node, with a naive member and one of ours."""

    def __init__(self, group: Group, member: Child) -> None:
        self.group = group
        self.member = member
        self.events: Stream[Event] = group.events()
        self._acted = 0

    async def look(self, word: str) -> tuple[int, list[Event]]:
        """Return how often the naive member has acted since the last look, and the events that ours had."""
        await self.group.mcast_confirmed(word.encode())
        acted = int(await self.member.says(word))
        since, self._acted = acted - self._acted, acted
        return since, await until_message(self.events, word.encode())


async def test_ring_change_is_one_view_however_many_changes_it_is() -> None:
    """Where neighbours are exchanged a naive member acts on a group that never was; ours has one view."""
    with CorosyncCluster(nodes=4) as cluster:
        async with AsyncExitStack() as stack:
            places = []
            for node in cluster.nodes:
                member = stack.enter_context(naive(node, "trap_14_each_change"))
                cpg = await stack.enter_async_context(node.connect())
                places.append(Place(await stack.enter_async_context(cpg.join("group")), member))
            await all_are_here(places)
            for number in range(ROUNDS):
                sides = SWITCHES[number % len(SWITCHES)]
                cluster.partition(*sides)
                await anyio.to_thread.run_sync(cluster.wait_formed, *sides)
                if any([await acts_too_often(place, f"round-{number}-{place.group.me.nodeid}") for place in places]):
                    break
            else:
                raise AssertionError("no ring change was more than one configuration change")


async def all_are_here(places: list[Place]) -> None:
    with anyio.fail_after(PATIENCE):
        async for view in places[0].group.views():
            if len(view.members) == 2 * len(places):
                break
    for place in places:
        await place.look(f"here-{place.group.me.nodeid}")


async def acts_too_often(place: Place, word: str) -> bool:
    """Whether the naive member has acted more often than there were views; of these each ring makes one at the most."""
    acted, events = await place.look(word)
    changes, rings, views = (
        sum(isinstance(event, kind) for event in events) for kind in (ConfigurationChange, RingChange, View)
    )
    assert acted == changes
    assert 1 <= views <= rings
    return acted > views
