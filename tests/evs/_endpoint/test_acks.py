"""When a bare acknowledgement is due: at once for a lone message, a little later for one of many."""

from __future__ import annotations

import pytest

from aiocpg.evs._endpoint import Settings
from aiocpg.evs._endpoint.acks import AckPace, Bulk
from support.evs_parties import ONE, SAFE, TWO, Party

BULK = Bulk(frame=100, before=2, size=1000, seconds=0.5)


@pytest.fixture
def pace() -> AckPace:
    """Provide one without an interval."""
    return AckPace(0.0, BULK)


def test_nothing_is_owed_before_something_came(pace: AckPace) -> None:
    """Nor when our word is out, in whatever frame."""
    assert not pace.is_owed
    pace.owe(10, 0)
    assert pace.is_owed
    pace.settle()
    assert not pace.is_owed


def test_lone_message_is_acknowledged_at_once(pace: AckPace) -> None:
    """However large it is."""
    for size in (10, 500):
        pace.owe(size, 0)
        pace.look(7.0)
        assert pace.due_at <= 7.0
        pace.settle()


def test_interval_counts_from_the_one_before() -> None:
    """Between two bare ones."""
    pace = AckPace(0.1, BULK)
    pace.say(3, 5.0)
    assert pace.seq == 3
    pace.owe(10, 0)
    assert pace.due_at == pytest.approx(5.1)


def test_first_one_does_not_wait_for_the_interval() -> None:
    """Even where there is never to be a second one."""
    pace = AckPace(float("inf"), BULK)
    pace.owe(10, 0)
    assert pace.due_at <= 0.0
    pace.say(1, 5.0)
    assert pace.due_at == float("inf")


def test_one_of_many_waits_for_more_or_for_its_time(pace: AckPace) -> None:
    """Many are large frames of one sender that does not wait for them."""
    pace.owe(400, 2)
    pace.look(7.0)
    pace.look(7.2)
    assert pace.due_at == pytest.approx(7.5)
    pace.owe(600, 3)
    assert pace.due_at <= 7.2
    pace.settle()
    pace.owe(400, 2)
    pace.look(8.0)
    assert pace.due_at == pytest.approx(8.5)


@pytest.mark.parametrize(("size", "before"), [(99, 2), (400, 1)])
def test_one_that_is_not_of_many_takes_the_others_along(pace: AckPace, size: int, before: int) -> None:
    """A small one, or the first of its sender's."""
    pace.owe(400, 2)
    pace.look(7.0)
    pace.owe(size, before)
    assert pace.due_at <= 7.0


def test_endpoint_acknowledges_many_together_and_a_lone_one_at_once() -> None:
    """At the latest at its deadline."""
    party = Party(ONE, TWO, settings=Settings(bulk=BULK._replace(before=1), stall_timeout=60))
    large = b"x" * 400
    party.say(ONE, (SAFE, large))
    first = party.take(TWO)
    assert len(first) == 1
    party.order(TWO, first, to=[TWO])  # ONE has not heard it
    party.say(ONE, (SAFE, large))
    party.wait(1.0)
    assert party.take(TWO) == []
    assert party[TWO].deadline == pytest.approx(1.0 + BULK.seconds)
    party.wait(BULK.seconds)
    assert len(party.take(TWO)) == 1


def test_sender_does_not_acknowledge_what_shows_by_itself_that_it_has_it() -> None:
    """The others count it so as well: a message of a member that has taken in a frame of the view."""
    party = Party(ONE, TWO)
    party.say(ONE, (SAFE, b"first"))
    party.talk()
    party.say(ONE, (SAFE, b"second"))
    assert party.take(ONE) == []
    party.order(TWO, party.take(TWO))
    assert set(map(tuple, party.heard().values())) == {("first", "second")}
