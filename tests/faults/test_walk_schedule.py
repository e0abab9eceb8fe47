"""The schedule of a random walk follows from its seed, and can be done. No daemon is needed here."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from faults.walk.schedule import FAULTS, Step, nodes_of, schedule

seeds = st.integers(0, 100_000)


@given(seeds)
def test_steps_are_the_same_when_the_seed_is(seed: int) -> None:
    """A walk that failed is walked again."""
    assert schedule(seed) == schedule(seed)


def test_every_fault_is_done_when_there_are_seeds_enough() -> None:
    """A hundred seeds have all of them, on three, four and five nodes."""
    done = Counter(step.action for seed in range(100) for step in schedule(seed))
    faults = ("kill", "terminate", "start", "stop", "cont", "partition", "heal", "join", "leave", "close")
    assert all(done[fault] >= 20 for fault in faults)
    assert {nodes_of(seed) for seed in range(100)} == {3, 4, 5}


@given(seeds)
def test_steps_can_be_done_when_their_turn_comes(seed: int) -> None:
    """Only a running daemon is killed, terminated or stopped, only a stopped one goes on, only an ended one starts."""
    running, stopped = set(range(1, nodes_of(seed) + 1)), set[int]()
    for step in schedule(seed):
        assert step.node in _fit(step, running, stopped) or not step.node
        running = running - {step.node} if step.action in ("kill", "terminate") else running
        running = running | {step.node} if step.action == "start" else running
        stopped = stopped | {step.node} if step.action == "stop" else stopped
        stopped = stopped - {step.node} if step.action in ("cont", "kill") else stopped
    assert (running, stopped) == (set(range(1, nodes_of(seed) + 1)), set())


def _fit(step: Step, running: set[int], stopped: set[int]) -> set[int]:
    """Return the nodes that a step can be done to."""
    everywhere = set(range(1, 65))
    fit = {"start": everywhere - running, "cont": stopped, "join": everywhere, "kill": running}
    return fit.get(step.action, running - stopped)


@given(seeds)
def test_everything_is_mended_when_the_schedule_ends(seed: int) -> None:
    """The last steps heal the network, start what has ended, and wait for one ring."""
    steps = schedule(seed)
    everybody = tuple(range(1, nodes_of(seed) + 1))
    assert steps[-1] == Step("formed", sides=(everybody,))
    assert [step.action for step in steps].index("heal", FAULTS) > 0
