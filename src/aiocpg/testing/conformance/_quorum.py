"""Promise 11: what is told of the quorum, on engines that have one and on those that have none."""

from __future__ import annotations

from functools import partial

from aiocpg import Quorum
from aiocpg.engine._base import Engine

from ._member import QuorumWatcher
from ._room import Room


async def quorum_is_told_before_the_call_returns(room: Room) -> None:
    """A state of this node's, and again for the next one who asks."""
    engine = await room.open()
    for _ in range(2):
        watcher = await _watch(room, engine)
        room.expect(watcher.states, "watch_quorum returned and no state was told")
        for state in watcher.states:
            if isinstance(state, Quorum):
                room.expect(engine.nodeid in state.nodes, f"node {engine.nodeid} was told {state}")
                room.expect(state.nodes == tuple(sorted(state.nodes)), f"the nodes are not sorted in {state}")


async def quorum_is_never_on_two_sides(room: Room) -> None:
    """While nodes cannot reach each other, not both are quorate; then they are told of each other again."""
    engines = [await room.open(), await room.open()]
    watchers = [await _watch(room, engine) for engine in engines]
    one, other = zip(engines, watchers, strict=True)
    async with room.cut(engines[:1], engines[1:]):
        for (engine, watcher), (far, _) in ((one, other), (other, one)):
            await room.until(
                partial(_knows, watcher, far, together=False), f"node {engine.nodeid} to be told of the cut"
            )
        states = [watcher.states[-1] for watcher in watchers]
        room.expect(not all(state.is_quorate for state in states), f"two sides were told {states[0]} and {states[1]}")
    for (engine, watcher), (far, _) in ((one, other), (other, one)):
        await room.until(partial(_knows, watcher, far, together=True), f"node {engine.nodeid} to be told of the merge")


async def _watch(room: Room, engine: Engine) -> QuorumWatcher:
    watcher = QuorumWatcher()
    await room.call("watch_quorum", lambda: engine.watch_quorum(watcher))
    return watcher


def _knows(watcher: QuorumWatcher, far: Engine, *, together: bool) -> bool:
    """Whether the newest state is of a ring with the other node, or without it; always where nobody decides."""
    state = watcher.states[-1]
    return not isinstance(state, Quorum) or (far.nodeid in state.nodes) is together
