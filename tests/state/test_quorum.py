"""What a node says of the quorum, as values: only one kind of them can ever be quorate."""

from __future__ import annotations

import dataclasses
import pickle

import pytest

from aiocpg import NoQuorumProvider, Quorum, QuorumState, QuorumUnknown, RingChange, RingId
from aiocpg._state.quorum import majority

STATES: list[QuorumState] = [
    Quorum(is_quorate=True, nodes=(1, 2), ring_id=RingId(1, 8), provider="corosync"),
    NoQuorumProvider("nobody decides", "name somebody"),
    QuorumUnknown("the daemon is gone"),
]


@pytest.mark.parametrize(
    ("ring", "nodes", "is_quorate"),
    [((1,), 1, True), ((1,), 2, False), ((1, 2), 2, True), ((1,), 3, False), ((2, 3), 3, True), ((1, 2), 4, False)],
)
def test_majority_is_more_than_half(ring: tuple[int, ...], nodes: int, is_quorate: bool) -> None:
    """With an even number, neither half is quorate."""
    change = RingChange(RingId(ring[0], 4), ring)
    assert majority(change, range(1, nodes + 1)) == Quorum(is_quorate, ring, RingId(ring[0], 4), "memory")


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_state_is_a_frozen_value(state: QuorumState) -> None:
    """It is equal to its copies and survives a journey to another process."""
    assert pickle.loads(pickle.dumps(state)) == state
    assert hash(dataclasses.replace(state)) == hash(state)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(state, dataclasses.fields(state)[0].name, True)


def test_only_a_decision_is_ever_quorate() -> None:
    """Who looks at nothing else than ``is_quorate`` is safe."""
    assert [state.is_quorate for state in STATES] == [True, False, False]
    assert [field.name for kind in (NoQuorumProvider, QuorumUnknown) for field in dataclasses.fields(kind)] == [
        "reason",
        "cure",
        "reason",
    ]
