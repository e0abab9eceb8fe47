"""The checker of the random walk accepts what a group promises, and nothing else. No daemon is needed here."""

from __future__ import annotations

import random
from collections.abc import Sequence
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


def haunted() -> Imagined:
    """Return a cluster whose node 1 is on a ring with node 2, and has the member of node 3 listed."""
    world = Imagined(3)
    world.form([[1], [2, 3]])
    world.form([[1, 2], [3]], ghosts={1: 3})
    return world


def with_all_sending(world: Imagined) -> Sequence[History]:
    """Have each member send, and return what they have seen."""
    for node in (1, 2, 3) * 2:
        world.send(node)
    return world.histories


def test_a_ghost_is_counted_when_a_view_lists_a_node_that_is_not_there() -> None:
    """A fault of Corosync, which its next ring mends."""
    world = haunted()
    world.form([[1], [2], [3]])
    summary = check(world.histories)
    assert (summary.ghosts, summary.risen) == (1, 0)


def test_a_ghost_is_no_excuse_for_a_member_that_is_lost_in_its_view() -> None:
    """Only what is not there may come and go like that."""
    histories = haunted().histories
    view = histories[0].records.pop()
    assert isinstance(view, Seen)
    histories[0].records.append(view._replace(members=view.members[1:]))
    with pytest.raises(Violation):
        check(histories)


def test_a_ghost_that_loses_its_place_without_a_word_is_rejected() -> None:
    """It goes with PROCDOWN, or stays."""
    world = haunted()
    world.form([[1], [2], [3]])
    last = world.histories[0].records.pop()
    assert isinstance(last, Seen)
    world.histories[0].records.append(last._replace(left=last.left[:1]))
    with pytest.raises(Violation, match="have not gone"):
        check(world.histories)


def test_a_ghost_rises_when_its_node_comes_before_it_has_gone() -> None:
    """Corosync tells node 1 nothing: its daemon has listed the member already. Its view tells what is true."""
    world = haunted()
    world.form([[1, 2, 3]])
    view = world.histories[0].records[-1]
    assert isinstance(view, Seen)
    assert (view.left, view.joined) == (((Address(3, PID), Reason.NODEDOWN),), ((Address(3, PID), Reason.NODEUP),))
    summary = check(with_all_sending(world))
    assert (summary.ghosts, summary.risen) == (1, 1)


def test_a_ghost_that_rises_without_a_word_is_rejected() -> None:
    """It was on another ring, and who trusts its views must be told."""
    world = haunted()
    world.form([[1, 2, 3]])
    world.histories[0].records.pop()
    world.send(3)
    world.histories[0].records = renumbered(world.histories[0].records)
    with pytest.raises(Violation, match="of one who is no member"):
        check(world.histories)


def test_a_ghost_rises_when_others_come_with_it() -> None:
    """All of them are in one view."""
    world = Imagined(3)
    world.form([[1], [2, 3]])
    world.form([[1], [2, 3]], ghosts={1: 3})
    world.form([[1, 2, 3]])
    assert check(with_all_sending(world)).risen == 1


def test_a_ghost_that_rises_is_a_node_that_is_met() -> None:
    """What a merge may cost, it may cost here."""
    world = haunted()
    world.form([[1, 2, 3]], deaf=1)
    assert check(with_all_sending(world)).missed == 4  # 1 and 2 one of 3's, and 3 one of each


def test_a_ghost_is_listed_for_a_member_that_joins_on_its_node() -> None:
    """The daemon has it listed, whoever asks; it rises for this member too."""
    world = haunted()
    world.leave(1)
    world.join(1)
    world.form([[1, 2, 3]])
    summary = check(with_all_sending(world))
    assert (summary.ghosts, summary.risen) == (2, 1)


def test_a_message_of_a_ghost_is_rejected_when_its_node_is_not_on_the_ring() -> None:
    """Corosync holds messages back until its services have agreed on a ring."""
    world = haunted()
    world.form([[1, 2, 3]])
    world.send(3)
    one = world.histories[0]
    early = one.records.pop()
    one.records.insert(-2, early)  # before the ring
    one.records = renumbered(one.records)
    with pytest.raises(Violation, match="of one who is no member"):
        check(world.histories)


def test_a_member_that_comes_untold_is_rejected_when_it_was_no_ghost() -> None:
    """Its node is on the ring; that does not make it a member."""
    world = Imagined(2)
    world.form([[1], [2]])
    world.form([[1, 2]])
    world.histories[0].records.pop()
    world.send(2)
    world.histories[0].records = renumbered(world.histories[0].records)
    with pytest.raises(Violation, match="of one who is no member"):
        check(world.histories)


def test_a_hole_is_rejected_behind_a_ghost_that_has_risen() -> None:
    """From its first message on it is a member like any other."""
    world = haunted()
    world.form([[1, 2, 3]])
    for _ in range(3):
        world.send(3)
    del world.histories[0].records[-2]
    world.histories[0].records = renumbered(world.histories[0].records)
    with pytest.raises(Violation, match="after number"):
        check(world.histories)


def test_a_member_is_accepted_when_it_was_lost_before_it_saw_anything() -> None:
    """There is nothing to check."""
    world = Imagined(2)
    world.histories.append(History(3, Address(2, PID), "killed"))
    assert check(world.histories).rings == 1
