"""The checker of the random walk accepts what a group promises, and nothing else. No daemon is needed here."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from copy import deepcopy

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiocpg import Address, Reason
from faults.walk.checker import Violation, check
from faults.walk.imagined import PID, Imagined, renumbered, wandering
from faults.walk.records import History, Record, Ring, Seen, from_lines, to_lines
from faults.walk.rings import formed
from faults.walk.spoiling import WAYS, Way
from faults.walk.stays import BY_RING

seeds = st.integers(0, 10_000)

ways = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


@given(seeds)
def test_histories_are_accepted_when_they_keep_every_promise(seed: int) -> None:
    """Joins, leaves, ends, cuts, merges with and without what Corosync loses there: nothing is wrong with them."""
    histories = wandering(seed)
    assert check(histories).messages > 0


@ways
@given(seeds, st.randoms(use_true_random=False))
def test_histories_are_rejected_when_one_is_spoiled(way: Way, seed: int, rng: random.Random) -> None:
    """Each way to spoil one of them is seen, wherever it is done."""
    histories = deepcopy(wandering(seed))
    assume(way(histories, rng))
    with pytest.raises(Violation):
        check(histories)


@given(seeds)
def test_histories_are_the_same_when_they_were_written_and_read(seed: int) -> None:
    """What a failed walk leaves behind can be checked again."""
    histories = wandering(seed)
    assert from_lines(to_lines(histories)) == histories


def merged(deaf: int) -> Sequence[History]:
    """Return the histories of two nodes that were apart, each missing so many of the other's first messages."""
    world = Imagined(2)
    world.form([[1], [2]])
    world.form([[1, 2]], deaf=deaf)
    for _ in range(5):
        world.send(1)
        world.send(2)
    return world.histories


def test_what_is_missed_behind_a_merge_is_excused_and_counted() -> None:
    """Each of two missed three messages of the other."""
    summary = check(merged(deaf=3))
    assert (summary.merges, summary.lossy, summary.missed) == (2, 2, 6)


def test_nothing_is_excused_when_the_stream_has_rejoined() -> None:
    """Behind the first message from the other side there is no hole."""
    histories = merged(deaf=1)
    del histories[0].records[-3]
    histories[0].records = renumbered(histories[0].records)
    with pytest.raises(Violation, match="after number"):
        check(histories)


def test_nothing_is_excused_when_there_was_no_merge() -> None:
    """The first message to come along on a ring that all came to together is there for all."""
    world = Imagined(3)
    world.form([[1, 2], [3]])
    for _ in range(3):
        world.send(1)
    history = world.histories[1]
    history.records.remove(next(record for record in history.records if not isinstance(record, (Ring, Seen))))
    history.records = renumbered(history.records)
    with pytest.raises(Violation):
        check(world.histories)


def test_a_joiner_on_a_node_that_has_just_come_back_may_miss_messages() -> None:
    """It is the node that meets the others, with or without a member on it."""
    world = Imagined(2)
    world.leave(2)
    world.form([[1], [2]])
    world.form([[1, 2]], deaf=1)
    world.join(2)
    world._deaf[2, 1] = 1
    for _ in range(2):
        world.send(1)
    assert check(world.histories).late == 1


def test_who_was_away_unannounced_is_known_by_the_logs() -> None:
    """A daemon that returns over several short rings is told nothing of it; its log tells."""
    world = away_untold()
    for _ in range(3):
        world.send(2)
    come_back(world, deaf=1)
    with pytest.raises(Violation):
        check(world.histories)
    assert check(world.histories, {1: formed(LOG)}).unannounced == 2


def test_who_was_away_unannounced_may_find_another_member_with_the_same_address() -> None:
    """In walks all members are of one process, and have its number."""
    world = away_untold()
    world.leave(2)
    world.join(2)
    world.send(2)
    come_back(world)
    world.leave(2)
    with pytest.raises(Violation):
        check(world.histories)
    assert check(world.histories, {1: formed(LOG)}).unannounced == 2


def away_untold() -> Imagined:
    """Return a cluster whose node 1 is alone, see :func:`come_back`."""
    world = Imagined(3)
    for node in (1, 2, 3):
        world.send(node)
    world.form([[1], [2, 3]])
    return world


def come_back(world: Imagined, deaf: int = 0) -> None:
    """Let node 1 come back, and its history say nothing of where it was."""
    world.form([[1, 2, 3]], deaf=deaf)
    for node in (1, 2, 3, 1, 2, 3):
        world.send(node)
    away = world.histories[0]
    rings = [at for at, record in enumerate(away.records) if isinstance(record, Ring)]
    del away.records[rings[1] : rings[2]]  # the ring on which it was alone
    away.records = renumbered([record for record in away.records if not is_by_ring(record)])


LOG = """\
notice  [TOTEM ] A new membership (1.5) was formed. Members joined: 1 2 3
notice  [TOTEM ] A new membership (1.9) was formed. Members left: 2 3
notice  [TOTEM ] A new membership (1.d) was formed. Members joined: 2 3
"""
"""What Corosync 3.1 writes."""


def is_by_ring(record: Record) -> bool:
    """Whether it is the view of a ring change."""
    return isinstance(record, Seen) and bool(BY_RING.intersection(dict(record.joined + record.left).values()))


def killed_and_seen_as_procdown(*, at_a_ring_change: bool) -> Sequence[History]:
    """Return histories in which a daemon was killed and its member went with PROCDOWN."""
    world = Imagined(2)
    world.send(2)
    world.close(2, end="killed")
    if not at_a_ring_change:
        world.send(1)
    world.form([[1], [2]])
    return world.histories


def test_a_killed_daemon_may_be_seen_as_procdown_when_it_is_back_at_once() -> None:
    """Its members are then found missing at the ring change with which it returns."""
    assert check(killed_and_seen_as_procdown(at_a_ring_change=True)).messages == 2


def test_a_killed_daemon_is_not_seen_as_procdown_when_no_ring_changes() -> None:
    """Nobody but a daemon tells that a process has ended."""
    with pytest.raises(Violation, match="PROCDOWN"):
        check(killed_and_seen_as_procdown(at_a_ring_change=False))


def ghostly(view: Callable[[Seen], Seen]) -> Sequence[History]:
    """Return histories in which node 1, alone, has seen somebody of another node come and go."""
    world = Imagined(2)
    world.form([[1], [2]])
    alone = world.histories[0].records
    last = alone[-1]
    assert isinstance(last, Seen)
    ghost = Address(2, PID)
    came = last._replace(members=(*last.members, ghost), joined=((ghost, Reason.NODEUP),), left=())
    alone += [view(came), last._replace(left=((ghost, Reason.PROCDOWN),))]
    world.histories[0].records = renumbered(alone)
    return world.histories


def test_a_ghost_is_counted_when_a_view_lists_a_node_that_is_not_there() -> None:
    """A fault of Corosync, which its next ring mends."""
    assert check(ghostly(lambda view: view)).ghosts == 1


def test_a_ghost_is_no_excuse_for_a_member_that_is_lost_in_its_view() -> None:
    """Only what is not there may come and go like that."""
    with pytest.raises(Violation):
        check(ghostly(lambda view: view._replace(members=view.members[1:])))
