"""One world under the lock: what follows when something is asked for in the middle of the order."""

from __future__ import annotations

import pytest

from aiocpg import Address, AlreadyJoinedError, CPGError, RingChange
from aiocpg._state.history import Record
from aiocpg.engine._sequencer import Seat
from aiocpg.engine.memory._loops import Loop
from aiocpg.engine.memory._world import World
from aiocpg.errors import EngineUnavailableError


class Bystander:
    """A process that keeps what it is told, in no loop."""

    loop: Loop

    def __init__(self, world: World, nodeid: int) -> None:
        world.node(nodeid)
        self.address = Address(nodeid, world.next_pid())
        self.rings: list[RingChange] = []
        self.losses: list[CPGError] = []
        self.calls = 0
        self.loop = Loop(None, lambda loop: None)  # type: ignore[arg-type]
        world.enter(self)

    def told(self, ring: RingChange) -> None:
        """Keep it."""
        self.rings.append(ring)

    def lose(self, error: CPGError) -> None:
        """Keep it."""
        self.losses.append(error)

    def abandon(self) -> None:
        """Nothing is open."""

    def go_on(self) -> None:
        """Count it."""
        self.calls += 1


@pytest.fixture
def world() -> World:
    """Two nodes."""
    world = World("here", lambda world: None)
    world.control([1, 2], seed=0)
    return world


def test_step_asked_for_in_the_middle_comes_behind_for_all(world: World) -> None:
    """A departure inside a delivery would stand at two places of the order."""
    heard: dict[int, list[Record]] = {pid: [] for pid in (1, 2, 3)}
    seats: dict[int, Seat] = {}

    def first(record: Record) -> None:
        heard[1].append(record)
        if isinstance(record, tuple):
            world.drop(seats[3])

    takes = {1: first, 2: heard[2].append, 3: heard[3].append}
    for pid, take in takes.items():
        seats[pid] = world.join(b"group", Address(1, pid), take)
    world.mcast(seats[2], [b"x"])
    message = (Address(1, 2), b"x")
    assert heard[3][-1] == message
    assert heard[1][-2:] == heard[2][-2:]
    assert heard[1][-2] == message


def test_refused_join_leaves_the_order_as_it_was(world: World) -> None:
    """And usable."""
    heard: list[Record] = []
    world.join(b"group", Address(1, 1), heard.append)
    with pytest.raises(AlreadyJoinedError):
        world.join(b"group", Address(1, 1), heard.append)
    world.join(b"group", Address(1, 2), heard.append)
    assert world.order.members(1, b"group") == ((1, 1), (1, 2))


def test_ring_is_told_to_processes_on_running_nodes(world: World) -> None:
    """To those of a node that was killed its loss is."""
    one, other = Bystander(world, 1), Bystander(world, 2)
    world.kill(world.nodes[2])
    assert [ring.nodes for ring in one.rings] == [(1,)]
    assert (len(other.rings), str(other.losses[0])) == (0, "connection lost: node 2 of memory://here was killed")
    with pytest.raises(EngineUnavailableError):
        world.node(2)


def test_end_in_order_waits_for_a_node_that_stands_still(world: World) -> None:
    """As a signal does."""
    process = Bystander(world, 1)
    world.stop(world.nodes[1])
    world.terminate(world.nodes[1])
    assert (process.losses, world.nodes[1].runs) == ([], True)
    world.go_on(world.nodes[1])
    assert (bool(process.losses), world.nodes[1].runs) == (True, False)


def test_new_node_is_on_the_side_of_those_that_are_not_named() -> None:
    """A cut stays until it is replaced."""
    world = World("here", lambda world: None)
    world.node(1)
    world.node(2)
    world.partition([[1]])
    world.node(3)
    assert [world.order.ring(nodeid).nodes for nodeid in (1, 2, 3)] == [(1,), (2, 3), (2, 3)]
    world.partition([])
    assert world.order.ring(1).nodes == (1, 2, 3)


def test_world_is_forgotten_when_the_last_is_gone() -> None:
    """Processes, and who controls it."""
    forgotten: list[World] = []
    world = World("here", forgotten.append)
    one, other = Bystander(world, 1), Bystander(world, 1)
    world.exit(one)
    world.control([], seed=0)
    world.exit(other)
    assert forgotten == []
    world.release()
    assert forgotten == [world]
