"""The checker accepts what keeps every promise, and names the promise that is broken where something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from aiocpg import Address, Guarantee, RingId
from aiocpg.evs._values import Receipt, RegularConfiguration, TransitionalConfiguration
from evs.sim.checker import check
from evs.sim.history import End, Event, Fate, Got, Life, Sent, Violation
from support.evs_parties import AGREED, ONE, SAFE, THREE, TWO, UNORDERED

RING = RingId(1, 4)
ALL = (ONE, TWO, THREE)


def regular(number: int, members: Iterable[Address], joined: Iterable[Address] = ()) -> RegularConfiguration:
    """A configuration; nodes are those of its members."""
    nodes, came = ({one.nodeid for one in some} for some in (members, joined))
    return RegularConfiguration(
        number, RING, tuple(sorted(nodes)), tuple(sorted(came)), tuple(sorted(members)), tuple(sorted(joined))
    )


def transitional(
    old: RegularConfiguration, members: Iterable[Address], *, verified: bool = True
) -> TransitionalConfiguration:
    """Its end, for these."""
    members = tuple(sorted(members))
    nodes = tuple(sorted({one.nodeid for one in members}))
    left = tuple(one for one in old.members if one not in members)
    gone = tuple(sorted(set(old.nodes) - set(nodes)))
    return TransitionalConfiguration(old.number, RING, nodes, gone, members, left, verified)


def got(message: int, sender: Address, guarantee: Guarantee = SAFE, *, transitional: bool = False) -> Got:
    """A delivery; its position is that of its message."""
    return Got(message, sender, guarantee, 10, 99, message, transitional)


def sent(message: int, guarantee: Guarantee, outcome: Receipt | Fate) -> Sent:
    """A send."""
    return Sent(message, guarantee, 10, 99, False, outcome)


def good() -> dict[Address, Life]:
    """Three lives: THREE goes while a SAFE message is held, which the other two deliver together."""
    lives: dict[Address, Life] = {}
    for me in ALL:
        first = regular(1, ALL, [me])
        events: list[Event] = [first, got(1, ONE), got(2, TWO, AGREED), got(3, TWO, UNORDERED), got(4, ONE)]
        along = (THREE,) if me == THREE else (ONE, TWO)
        events += [transitional(first, along), got(5, TWO, transitional=True), got(6, TWO, AGREED, transitional=True)]
        if me != THREE:
            events.append(regular(2, (ONE, TWO)))
        lives[me] = Life(me, 100 + me.pid, events)
    lives[THREE].end = End.LEFT
    first = lives[ONE].events[0]
    assert isinstance(first, RegularConfiguration)
    lives[ONE].sent = [sent(1, SAFE, Receipt(1, first)), sent(4, SAFE, Receipt(4, first))]
    first, last = lives[TWO].events[0], lives[TWO].events[5]
    assert isinstance(first, RegularConfiguration)
    assert isinstance(last, TransitionalConfiguration)
    lives[TWO].sent = [
        *(sent(2, AGREED, Receipt(2, first)), sent(3, UNORDERED, Receipt(3, first))),
        *(sent(5, SAFE, Receipt(5, last)), sent(6, AGREED, Receipt(6, last))),
    ]
    return lives


def test_good_lives_are_good() -> None:
    """And counted."""
    summary = check(list(good().values()), is_exact=True)
    assert summary == (3, 5, 6, 3, 9, 2, 0, 0)


def without(life: Life, *messages: int) -> None:
    life.events = [one for one in life.events if not (isinstance(one, Got) and one.message in messages)]


def put(life: Life, place: int, *events: Event) -> None:
    life.events[place:place] = events


def alter(life: Life, place: int, **changes: object) -> None:
    event = life.events[place]
    life.events[place] = (
        event._replace(**changes) if isinstance(event, Got) else replace(event, **changes)  # type: ignore[arg-type]
    )


def swap(life: Life, first: int, second: int) -> None:
    events = life.events
    events[first], events[second] = events[second], events[first]
    positions = iter(sorted(one.position for one in events if isinstance(one, Got)))
    life.events = [one._replace(position=next(positions)) if isinstance(one, Got) else one for one in events]


def tell(life: Life, place: int, outcome: Receipt | Fate) -> None:
    life.sent[place] = life.sent[place]._replace(outcome=outcome)


WAYS: dict[str, tuple[str, Callable[[dict[Address, Life]], object]]] = {
    "SAFE that a member has not": ("S1", lambda lives: without(lives[THREE], 4)),
    "SAFE that a member has in another configuration": (
        "S1",
        lambda lives: (
            alter(lives[THREE], 0, ring_id=RingId(1, 8)),
            alter(lives[THREE], 5, ring_id=RingId(1, 8)),
        ),
    ),
    "something before SAFE that a member has not": ("S1p", lambda lives: without(lives[THREE], 2)),
    "SAFE that one of those who go on has not": ("S2", lambda lives: without(lives[ONE], 5, 6)),
    "another order": ("S3", lambda lives: swap(lives[THREE], 6, 7)),
    "a sender's messages in another order": ("S3", lambda lives: [swap(lives[me], 6, 7) for me in ALL]),
    "something that only one of those who vouched has": ("S4", lambda lives: without(lives[ONE], 6)),
    "a message twice": ("S6", lambda lives: lives[ONE].events.append(got(4, ONE)._replace(position=9))),
    "an altered message": ("S6", lambda lives: alter(lives[THREE], 2, crc=98)),
    "a message of another length": ("S6", lambda lives: alter(lives[THREE], 2, size=11)),
    "a message of another sender": ("S6", lambda lives: alter(lives[THREE], 2, sender=ONE)),
    "a message that nobody sent": ("S6", lambda lives: lives[ONE].sent.pop()),
    "a send without an outcome": ("S6", lambda lives: tell(lives[ONE], 0, Fate.OPEN)),
    "a lost message that is delivered": ("S6", lambda lives: tell(lives[ONE], 0, Fate.LOST)),
    "an unknown outcome with no reason": ("S6", lambda lives: tell(lives[ONE], 0, Fate.UNKNOWN)),
    "a receipt of nothing": (
        "S6",
        lambda lives: lives[ONE].sent.append(sent(7, SAFE, lives[ONE].sent[0].outcome)),
    ),
    "a receipt of another place": (
        "S6",
        lambda lives: tell(lives[ONE], 0, replace(lives[ONE].sent[0].outcome, position=9)),  # type: ignore[type-var]
    ),
    "a change that is not over": ("S7", lambda lives: lives[ONE].events.pop()),
    "one that is in another configuration at the end": ("S7", lambda lives: setattr(lives[THREE], "end", End.HERE)),
    "no first configuration": ("S8", lambda lives: lives[ONE].events.pop(0)),
    "a first configuration that it did not join": ("S8", lambda lives: alter(lives[ONE], 0, joined=())),
    "a configuration without itself": ("S8", lambda lives: alter(lives[ONE], 0, members=(TWO, THREE))),
    "no transitional configuration": ("S8", lambda lives: lives[ONE].events.pop(5)),
    "two transitional configurations": ("S8", lambda lives: put(lives[ONE], 5, lives[ONE].events[5])),
    "a transitional configuration of another": ("S8", lambda lives: alter(lives[ONE], 5, number=2)),
    "a transitional configuration without itself": ("S8", lambda lives: alter(lives[ONE], 5, members=(TWO,))),
    "wrong leavers": ("S8", lambda lives: alter(lives[ONE], 5, left=())),
    "wrong nodes that left": ("S8", lambda lives: alter(lives[ONE], 5, nodes_left=())),
    "wrong joiners": ("S8", lambda lives: alter(lives[ONE], -1, joined=(TWO,))),
    "wrong nodes that joined": ("S8", lambda lives: alter(lives[ONE], -1, nodes_joined=(2,))),
    "a gap in the numbers": ("S8", lambda lives: alter(lives[ONE], -1, number=3)),
    "one who came along and is not there": ("S8", lambda lives: alter(lives[ONE], -1, members=(ONE,))),
    "a delivery that says wrongly where it is": ("S8", lambda lives: alter(lives[ONE], 6, transitional=False)),
    "a delivery of who is not there": ("S8", lambda lives: put(lives[ONE], 9, got(7, THREE))),
    "positions that do not grow": ("S8", lambda lives: alter(lives[ONE], 2, position=1)),
}


@pytest.mark.parametrize(("rule", "way"), WAYS.values(), ids=WAYS.keys())
def test_spoilt_lives_break_the_rule(rule: str, way: Callable[[dict[Address, Life]], object]) -> None:
    """Each way of spoiling them breaks one."""
    lives = good()
    way(lives)
    with pytest.raises(Violation) as caught:
        check(list(lives.values()), is_exact=True)
    assert caught.value.rule == rule


def test_what_corosync_vouches_for_is_counted_unless_it_is_demanded() -> None:
    """AGREED is as good as CPG."""
    lives = good()
    for me in (ONE, TWO):
        without(lives[me], 5, 6)
        alter(lives[me], 5, verified=False)
    without(lives[TWO], 3)
    lives[TWO].sent = lives[TWO].sent[:1]
    without(lives[ONE], 3)
    without(lives[THREE], 3, 5, 6)
    put(lives[ONE], 4, got(7, ONE, AGREED))
    first = lives[ONE].events[0]
    assert isinstance(first, RegularConfiguration)
    lives[ONE].sent.append(sent(7, AGREED, Receipt(7, first)))
    assert check(list(lives.values())).differing == 2
    with pytest.raises(Violation) as caught:
        check(list(lives.values()), is_exact=True)
    assert caught.value.rule == "S4"


@pytest.mark.parametrize("end", [End.CRASHED, End.LOST])
def test_who_failed_need_not_have_anything(end: End) -> None:
    """It is held to what it saw."""
    lives = good()
    lives[THREE].events = lives[THREE].events[:2]
    lives[THREE].end = end
    check(list(lives.values()))


def test_of_strangers_nothing_is_demanded() -> None:
    """They were members, and what they sent was delivered."""
    lives = good()
    del lives[THREE]
    for life in lives.values():
        put(life, 5, got(4, THREE)._replace(position=5))
        life.events[6:] = [
            one._replace(position=one.position + 1) if isinstance(one, Got) else one for one in life.events[6:]
        ]
    last = lives[TWO].events[6]
    assert isinstance(last, TransitionalConfiguration)
    tell(lives[TWO], 2, Receipt(6, last))
    tell(lives[TWO], 3, Receipt(7, last))
    check(list(lives.values()), strangers=[THREE])


def test_configurations_that_come_back_are_told_apart_by_what_was_delivered() -> None:
    """The same members on the same ring twice, once with us and once in another life of the other: not the same."""
    first, second = regular(1, (ONE, TWO), [ONE]), regular(3, (ONE, TWO), [TWO])
    alone = replace(regular(2, (ONE,)), nodes=(1,))
    between = [transitional(first, (ONE,), verified=False), alone, transitional(alone, (ONE,), verified=False)]
    end = [transitional(second, (ONE, TWO), verified=False), regular(4, (ONE, TWO))]
    one = Life(ONE, 1, [first, got(1, ONE, AGREED), *between, second, got(2, ONE, AGREED), *end])
    one.sent = [sent(1, AGREED, Receipt(1, first)), sent(2, AGREED, Receipt(2, second))]
    two = Life(TWO, 2, [regular(1, (ONE, TWO), [TWO]), got(2, ONE, AGREED)])
    first = two.events[0]
    assert isinstance(first, RegularConfiguration)
    two.events += [transitional(first, (ONE, TWO), verified=False), regular(2, (ONE, TWO))]
    assert check([one, two], is_exact=True).differing == 0
