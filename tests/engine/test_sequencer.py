"""The order of the embedded engines: what each member gets, case by case, and against a plain model at random."""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from aiocpg import Address, AlreadyJoinedError, ConfigurationChange, MemberChange, Message, Reason, RingChange, View
from aiocpg._state.history import History, Phase, Record
from aiocpg.engine._sequencer import FIRST_SEQ, Seat, Sequencer

A, B, C = Address(1, 10), Address(2, 10), Address(3, 10)


class Player:
    """A member that keeps what it gets."""

    def __init__(self, order: Sequencer, me: Address, group: bytes = b"group") -> None:
        self.me = me
        self.records: list[Record] = []
        self.seat = order.join(group, me, self.records.append)

    def news(self) -> list[Record]:
        """What came since the last call."""
        news, self.records[:] = list(self.records), []
        return news


def change(
    members: Iterable[Address], joined: dict[Address, Reason] | None = None, left: dict[Address, Reason] | None = None
) -> ConfigurationChange:
    """Return one configuration change."""
    came, went = (tuple(MemberChange(*entry) for entry in (who or {}).items()) for who in (joined, left))
    return ConfigurationChange(b"group", tuple(sorted(members)), came, went)


@pytest.fixture
def order() -> Sequencer:
    """Three nodes on one ring."""
    order = Sequencer()
    order.reform([{1, 2, 3}])
    return order


@pytest.fixture
def players(order: Sequencer) -> list[Player]:
    """A, B and C in one group, who have read all of that."""
    players = [Player(order, me) for me in (A, B, C)]
    for player in players:
        player.news()
    return players


# -- Members


def test_newcomer_gets_the_ring_and_its_join(order: Sequencer) -> None:
    """In this order, and nothing else; who was there gets the join."""
    first = Player(order, A)
    assert first.news() == [order.ring(1), change([A], {A: Reason.JOIN})]
    second = Player(order, B)
    assert second.news() == [order.ring(2), change([A, B], {B: Reason.JOIN})]
    assert first.news() == [change([A, B], {B: Reason.JOIN})]


def test_process_joins_a_group_once(order: Sequencer) -> None:
    """A second join is told to nobody; after the departure there may be another."""
    first = Player(order, A)
    first.news()
    with pytest.raises(AlreadyJoinedError):
        Player(order, A)
    assert first.news() == []
    order.leave(first.seat)
    assert Player(order, A).news() == [order.ring(1), change([A], {A: Reason.JOIN})]


def test_join_on_a_node_that_does_not_run_leaves_nothing(order: Sequencer) -> None:
    """Not even the group's name."""
    with pytest.raises(KeyError):
        Player(order, Address(9, 1))
    assert order.groups(1) == {}


def test_messages_go_to_all_members_and_to_nobody_else(order: Sequencer, players: list[Player]) -> None:
    """The sender is one of them."""
    other = Player(order, A, b"other")
    other.news()
    order.mcast(players[1].seat, b"x")
    assert [player.news() for player in [*players, other]] == [[(B, b"x")], [(B, b"x")], [(B, b"x")], []]


def test_leave_is_told_to_who_leaves_too(order: Sequencer, players: list[Player]) -> None:
    """As the last thing it gets."""
    order.leave(players[0].seat)
    order.leave(players[0].seat)
    order.mcast(players[1].seat, b"late")
    left = change([B, C], left={A: Reason.LEAVE})
    assert [player.news() for player in players] == [[left], [left, (B, b"late")], [left, (B, b"late")]]


def test_end_of_a_process_is_told_to_the_others(order: Sequencer, players: list[Player]) -> None:
    """Once."""
    order.drop(players[0].seat)
    order.drop(players[0].seat)
    order.leave(players[0].seat)
    gone = change([B, C], left={A: Reason.PROCDOWN})
    assert [player.news() for player in players] == [[], [gone], [gone]]


def test_who_is_gone_sends_nothing(order: Sequencer, players: list[Player]) -> None:
    """Not even when somebody has come in its place."""
    order.leave(players[0].seat)
    Player(order, A)
    with pytest.raises(ValueError, match="not a member"):
        order.mcast(players[0].seat, b"x")
    order.leave(players[0].seat)
    assert order.members(1, b"group") == (A, B, C)


def test_groups_are_listed_with_their_members(order: Sequencer, players: list[Player]) -> None:
    """As the asking node sees them; one that nobody is in any more is none."""
    other = Player(order, C, b"another")
    assert order.groups(1) == {b"another": (C,), b"group": (A, B, C)}
    order.reform([{1, 2}, {3}])
    assert order.groups(1) == {b"group": (A, B)}
    order.leave(other.seat)
    assert order.groups(3) == {b"group": (C,)}
    assert order.members(3, b"nobody's") == ()


def test_names_of_groups_that_nobody_is_in_are_not_kept(order: Sequencer) -> None:
    """A broker lives long, and anybody may ask for any name, or use one for a single call."""

    def use(names: Iterable[int]) -> None:
        for group in (b"%d" % name for name in names):
            order.members(1, group)
            order.leave(Player(order, A, group).seat)
            order.drop(Player(order, A, group).seat)

    tracemalloc.start()
    try:
        use(range(100))
        before, _ = tracemalloc.get_traced_memory()
        use(range(100, 3000))
        gc.collect()  # what the interpreter keeps for reuse is not ours
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 50_000


# -- Rings


def test_cut_is_one_change_and_a_ring(order: Sequencer, players: list[Player]) -> None:
    """For each side that of its own."""
    order.reform([{1}, {2, 3}])
    one, other = order.ring(1), order.ring(2)
    assert players[0].news() == [change([A], left={B: Reason.NODEDOWN, C: Reason.NODEDOWN}), one]
    for player in players[1:]:
        assert player.news() == [change([B, C], left={A: Reason.NODEDOWN}), other]
    assert (one.nodes, other.nodes, order.ring(3)) == ((1,), (2, 3), other)
    order.mcast(players[0].seat, b"alone")
    assert [player.news() for player in players] == [[(A, b"alone")], [], []]


def test_merge_names_those_who_came(order: Sequencer, players: list[Player]) -> None:
    """Each side sees the other come; the ring is the last thing."""
    order.reform([{1}, {2, 3}])
    for player in players:
        player.news()
    order.reform([{1, 2, 3}])
    ring = order.ring(1)
    assert players[0].news() == [change([A, B, C], {B: Reason.NODEUP, C: Reason.NODEUP}), ring]
    for player in players[1:]:
        assert player.news() == [change([A, B, C], {A: Reason.NODEUP}), ring]


def test_who_changes_sides_sees_some_go_before_others_come(order: Sequencer, players: list[Player]) -> None:
    """In two changes, and nothing but the ring behind them."""
    order.reform([{1, 2}, {3}])
    players[1].news()
    order.reform([{1}, {2, 3}])
    assert players[1].news() == [
        change([B], left={A: Reason.NODEDOWN}),
        change([B, C], {C: Reason.NODEUP}),
        order.ring(2),
    ]


def test_ring_that_stays_is_told_to_nobody(order: Sequencer, players: list[Player]) -> None:
    """What happens elsewhere is not seen."""
    order.reform([{1, 2}, {3}])
    for player in players:
        player.news()
    before = order.ring(1)
    order.reform([{3, 4}, {2, 1}])
    assert (players[0].news(), players[1].news()) == ([], [])
    assert players[2].news() == [order.ring(4)]
    assert order.ring(1) is before


def test_node_that_ends_takes_its_members(order: Sequencer, players: list[Player]) -> None:
    """They get nothing; when it runs again nobody is there."""
    order.reform([{1, 2}])
    gone = change([A, B], left={C: Reason.NODEDOWN})
    assert [player.news() for player in players] == [[gone, order.ring(1)], [gone, order.ring(1)], []]
    assert order.nodes == (1, 2)
    order.reform([{1, 2, 3}])
    assert players[0].news() == [order.ring(3)]
    assert order.members(3, b"group") == (A, B)


def test_rings_count_upwards_from_the_first() -> None:
    """However many there are at once; an order that goes on after another begins where that ended."""
    order = Sequencer()
    order.reform([{1}, {2}])
    seqs = [order.ring(1).ring_id.seq, order.ring(2).ring_id.seq]
    order.reform([{1, 2}])
    assert sorted({*seqs, order.ring(1).ring_id.seq}) == [*seqs, order.ring(1).ring_id.seq]
    assert seqs[0] == FIRST_SEQ
    later = Sequencer(first_seq=100)
    later.reform([{1}])
    assert later.ring(1).ring_id == (1, 100)


@pytest.mark.parametrize("components", [[{1}, {1, 2}], [{1}, set()]])
def test_nodes_that_cannot_be_placed_are_refused(order: Sequencer, components: list[set[int]]) -> None:
    """And nothing has changed."""
    before = order.ring(1)
    with pytest.raises(ValueError, match="not one place"):
        order.reform(components)
    assert order.ring(1) is before


# -- At random, against a model


GROUPS = (b"one", b"two")
NODES = (1, 2, 3, 4)
RING = "ring"
"""Stands for a ring's record in what the model expects: which ring it is, is looked at apart."""


class Stay(NamedTuple):
    """One membership: what it has got, and what the model says it gets."""

    group: bytes
    me: Address
    seat: Seat
    got: list[Record]
    wanted: list[object]

    def fill_in(self, order: Sequencer) -> None:
        """Put the ring that was formed just now where the model wants one."""
        if RING in self.wanted:
            self.wanted[self.wanted.index(RING)] = order.ring(self.me.nodeid)


class Against(RuleBasedStateMachine):
    """
    Members come, talk and go, nodes part and meet; a model without memory says after each step what each must have.

    The model has no rings, no seats and no caches: it looks through all members each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order = Sequencer()
        self.sides: list[frozenset[int]] = []
        self.present: list[Stay] = []
        self.past: list[Stay] = []
        self.sent = 0

    # The model

    def side(self, node: int) -> frozenset[int]:
        return next(side for side in self.sides if node in side)

    def together(self, group: bytes, node: int) -> list[Stay]:
        here = (stay for stay in self.present if stay.group == group and stay.me.nodeid in self.side(node))
        return sorted(here, key=lambda stay: stay.me)

    def tell(self, stays: Sequence[Stay], joined: Iterable[MemberChange], left: Iterable[MemberChange]) -> object:
        if not stays:
            return None
        members = tuple(stay.me for stay in stays)
        told = ConfigurationChange(stays[0].group, members, tuple(joined), tuple(left))
        for stay in stays:
            stay.wanted.append(told)
        return told

    def remove(self, stay: Stay) -> None:
        self.present.remove(stay)
        self.past.append(stay)

    def pick(self, data: st.DataObject) -> Stay | None:
        return data.draw(st.sampled_from(self.present)) if self.present else None

    # What happens

    @initialize()
    def begin(self) -> None:
        self.reform([1, 1, 1, 0])

    @rule(group=st.sampled_from(GROUPS), node=st.sampled_from(NODES), pid=st.integers(1, 2))
    def join(self, group: bytes, node: int, pid: int) -> None:
        me = Address(node, pid)
        if not any(node in side for side in self.sides):
            return
        if any((stay.group, stay.me) == (group, me) for stay in self.present):
            with pytest.raises(AlreadyJoinedError):
                self.order.join(group, me, [].append)
            return
        got: list[Record] = []
        stay = Stay(group, me, self.order.join(group, me, got.append), got, [RING])
        self.present.append(stay)
        self.tell(self.together(group, node), [MemberChange(me, Reason.JOIN)], [])

    @rule(group=st.sampled_from(GROUPS))
    def join_everywhere(self, group: bytes) -> None:
        for node in NODES:
            self.join(group, node, 3)

    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        if stay := self.pick(data):
            self.order.leave(stay.seat)
            self.remove(stay)
            entry = MemberChange(stay.me, Reason.LEAVE)
            others = self.together(stay.group, stay.me.nodeid)
            nobody = ConfigurationChange(stay.group, (), (), (entry,))
            stay.wanted.append(self.tell(others, [], [entry]) or nobody)

    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        if stay := self.pick(data):
            self.order.drop(stay.seat)
            self.remove(stay)
            self.tell(self.together(stay.group, stay.me.nodeid), [], [MemberChange(stay.me, Reason.PROCDOWN)])

    @rule(data=st.data())
    def mcast(self, data: st.DataObject) -> None:
        if stay := self.pick(data):
            self.sent += 1
            self.order.mcast(stay.seat, b"%d" % self.sent)
            for other in self.together(stay.group, stay.me.nodeid):
                other.wanted.append((stay.me, b"%d" % self.sent))

    @rule(data=st.data())
    def use_one_that_is_gone(self, data: st.DataObject) -> None:
        if self.past:
            seat = data.draw(st.sampled_from(self.past)).seat
            self.order.leave(seat)
            self.order.drop(seat)
            with pytest.raises(ValueError):
                self.order.mcast(seat, b"late")

    @rule(places=st.lists(st.integers(0, 3), min_size=len(NODES), max_size=len(NODES)))
    def reform(self, places: list[int]) -> None:
        """Each node goes to one of three sides, or ends."""
        before = self.sides
        found = [frozenset(n for n, place in zip(NODES, places, strict=True) if place == side) for side in (1, 2, 3)]
        were_with = {id(stay): {one.me for one in self.together(stay.group, stay.me.nodeid)} for stay in self.present}
        self.sides = [side for side in found if side]
        self.order.reform(self.sides)
        for stay in [stay for stay in self.present if not any(stay.me.nodeid in side for side in self.sides)]:
            self.remove(stay)
        for stay in [stay for stay in self.present if self.side(stay.me.nodeid) not in before]:
            self.move(stay, were_with[id(stay)])

    def move(self, stay: Stay, old: set[Address]) -> None:
        now = [one.me for one in self.together(stay.group, stay.me.nodeid)]
        stayed = tuple(me for me in now if me in old)
        left = tuple(MemberChange(me, Reason.NODEDOWN) for me in sorted(old) if me not in stayed)
        joined = tuple(MemberChange(me, Reason.NODEUP) for me in now if me not in stayed)
        if left:
            stay.wanted.append(ConfigurationChange(stay.group, stayed, (), left))
        if joined:
            stay.wanted.append(ConfigurationChange(stay.group, tuple(now), joined, ()))
        stay.wanted.append(RING)

    # What must be so

    @invariant()
    def each_has_what_the_model_says(self) -> None:
        for stay in [*self.present, *self.past]:
            stay.fill_in(self.order)
            assert stay.got == stay.wanted

    @invariant()
    def snapshots_are_those_of_the_model(self) -> None:
        assert self.order.nodes == tuple(sorted(frozenset().union(*self.sides)))
        for node in self.order.nodes:
            seen = {group: tuple(stay.me for stay in self.together(group, node)) for group in GROUPS}
            assert self.order.groups(node) == {group: members for group, members in seen.items() if members}
            assert self.order.ring(node).nodes == tuple(sorted(self.side(node)))

    def teardown(self) -> None:
        for stay in [*self.present, *self.past]:
            check_history(stay)
        check_order([*self.present, *self.past])


def check_history(stay: Stay) -> None:
    """The history of one membership holds together, read as a group reads it."""
    history = History(stay.group, stay.me)
    events = history.take(stay.got)
    rings = [event.ring_id.seq for event in events if isinstance(event, RingChange)]
    assert rings == sorted(set(rings))
    views = [event for event in events if isinstance(event, View)]
    assert [view.number for view in views] == list(range(1, len(views) + 1))
    members = set(views[0].members)
    for view in views[1:]:
        # Who left and came within one change is in both.
        assert set(view.members) == (members - set(view.left)) | set(view.joined)
        members = set(view.members)
    messages = [event for event in events if isinstance(event, Message)]
    assert [message.position for message in messages] == list(range(1, len(messages) + 1))
    assert all(message.sender in message.view.members for message in messages)
    assert history.phase is (Phase.GONE if isinstance(views[-1].left.get(stay.me), Reason) else Phase.MEMBER)
    assert_nothing_inside_a_ring_change(stay.got)


def assert_nothing_inside_a_ring_change(records: Sequence[Record]) -> None:
    """From a change by nodes on there are only such changes, and then the ring."""
    for record, behind in itertools.pairwise(records):
        if isinstance(record, ConfigurationChange):
            reasons = {entry.reason for entry in (*record.joined, *record.left)}
            if reasons & {Reason.NODEDOWN, Reason.NODEUP}:
                assert len(reasons) == 1
                assert isinstance(behind, (ConfigurationChange, RingChange))
                if isinstance(behind, ConfigurationChange):
                    assert {entry.reason for entry in behind.joined} == {Reason.NODEUP}


def check_order(stays: Sequence[Stay]) -> None:
    """On one ring all members of a group have messages in one order: what two both have, they have alike."""
    logs: dict[tuple[bytes, object], list[list[Record]]] = {}
    for stay in stays:
        ring: object = None
        for record in stay.got:
            if isinstance(record, RingChange):
                ring = record.ring_id
                logs.setdefault((stay.group, ring), []).append([])
            elif isinstance(record, tuple):
                logs[stay.group, ring][-1].append(record)
    for alike in logs.values():
        longest: list[Record] = sorted((m for m in {m for log in alike for m in log}), key=lambda m: int(m[1]))
        for log in alike:
            if log:
                start = longest.index(log[0])
                assert longest[start : start + len(log)] == log


def test_members_get_what_the_model_says_whatever_happens() -> None:
    """Random histories of four nodes; ``--hypothesis-profile=soak`` tries many more."""
    run_state_machine_as_test(Against, settings=settings(stateful_step_count=40))
