"""What an endpoint does about members that do not answer, have missed something, or are to go."""

from __future__ import annotations

import pytest

from aiocpg import Address, Reason
from aiocpg.evs._endpoint import Settings
from aiocpg.evs._values import Stalled
from aiocpg.evs._wire import Answer, Body, Header, Query, Triple, encode_ack, encode_evict, parse
from aiocpg.evs._wire.control import Evict
from support.evs_parties import AGREED, FOUR, ONE, SAFE, THREE, TWO, Party, evict, missing_one

NOWHERE = Triple(0, 0, 0)


@pytest.fixture
def party() -> Party:
    """Provide three endpoints in one view, which have said nothing yet."""
    return Party(ONE, TWO, THREE)


def bodies(frames: list[bytes]) -> list[Body]:
    """What these frames say."""
    return [parse(frame)[1] for frame in frames]


def everybody(*lines: str) -> dict[Address, list[str]]:
    """All three have handed out the same."""
    return {ONE: [*lines], TWO: [*lines], THREE: [*lines]}


# -- Stalls


def test_stall_is_told_with_who_is_waited_for_and_all_are_asked(party: Party) -> None:
    """Once it is held for the timeout; the deadline says when."""
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    for address in (ONE, TWO):
        party.order(address, party.take(address))
    assert party[ONE].deadline == 1.0
    party.wait(1.0)
    assert party[ONE].happenings == [Stalled((THREE,), 1.0, 1)]
    assert Query(1, ()) in bodies(party.take(ONE))


def test_it_tells_when_it_goes_on(party: Party) -> None:
    """Before what goes on, and only where it had told that it stood."""
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    party.wait(1.0)
    party.heard()
    party.talk()
    party.wait(1.0)
    assert party.heard() == everybody("Resumed", "a")


def test_who_owes_its_last_word_is_given_time_for_it(party: Party) -> None:
    """Though what is held was held before; nobody is told of those who have only just been asked."""
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    for address in (ONE, TWO):
        party.order(address, party.take(address))
    party.wait(1.0)
    party.heard()
    party.leave(THREE)
    party.wait(0.5)
    assert party.heard() == {ONE: [], TWO: []}
    party.wait(1.0)
    assert party[ONE].happenings == [Stalled((TWO,), 1.0, 1)]
    assert party[TWO].happenings == [Stalled((ONE,), 1.0, 1)]


def test_who_reads_is_named_where_nobody_else_is_waited_for(party: Party) -> None:
    """Then its own word does not come back to it, and that is all there is to say."""
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    for address in (TWO, THREE):
        party.order(address, party.take(address))
    party.wait(1.0)
    assert party[ONE].happenings == [Stalled((ONE,), 1.0, 1)]


def test_who_reads_is_not_named_among_others(party: Party) -> None:
    """What it says itself may be on its way."""
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    party.wait(1.0)
    assert party[ONE].happenings == [Stalled((TWO, THREE), 1.0, 1)]


def test_who_has_the_oldest_is_not_evicted_for_the_newest() -> None:
    """The others may have had no time yet to acknowledge it."""
    party = Party(ONE, TWO, THREE, settings=Settings(stall_timeout=1.0, evict_after=2.0))
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    for address in (ONE, TWO):
        party.order(address, party.take(address))
    party.wait(1.9)
    party.take(ONE)
    party.say(ONE, (SAFE, b"b"))
    party.wait(0.1)
    assert [body for body in bodies(party.take(ONE)) if isinstance(body, Evict)] == [Evict(THREE, 0)]


def test_who_is_asked_answers_with_where_it_stands(party: Party) -> None:
    """To all who have asked, in one frame that is no bare acknowledgement."""
    for asker, token in ((ONE, 5), (TWO, 6)):
        party.order(asker, [encode_ack(Header(9, 1, NOWHERE), Query(token, ()))], to=[THREE])
    assert bodies(party.take(THREE)) == [Query(0, (Answer(ONE, 5), Answer(TWO, 6)))]
    assert party.take(THREE) == []


def test_nobody_answers_itself(party: Party) -> None:
    """Its question is an answer already."""
    party.order(ONE, [encode_ack(Header(1010, 1, NOWHERE), Query(5, ()))], to=[ONE])
    assert not party[ONE].speaker.owes


def test_who_missed_something_notices_before_anything_stalls(party: Party) -> None:
    """The first acknowledgement that is not of its own chain has it ask; nobody else goes."""
    missing_one(party)
    assert [bool(party[address].must_return) for address in (ONE, TWO, THREE)] == [False, False, True]
    assert party.counts[THREE].stalls == 0


def test_all_are_asked_once_in_a_view_however_often_somebody_contradicts(party: Party) -> None:
    """Questions are not the load of those who go on."""
    missing_one(party)
    for _ in range(3):
        party.say(ONE, (SAFE, b"more"))
        party.talk()
    assert [party.counts[address].sent["request"] for address in (ONE, TWO)] == [1, 1]


def test_nobody_is_asked_about_a_contradiction_where_nothing_is_safe(party: Party) -> None:
    """Nothing is held then."""
    party.say(ONE, (AGREED, b"lost"), to=[ONE, TWO])
    for _ in range(3):
        party.say(ONE, (AGREED, b"a"))
        party.talk()
    assert party.counts[THREE].stale > 0
    assert not any(party.counts[address].sent["request"] for address in (ONE, TWO, THREE))


def test_who_missed_something_notices_when_the_lowest_asks(party: Party) -> None:
    """And comes back as a newcomer; nobody else does."""
    missing_one(party)
    party.wait(0.0)
    party.wait(1.0)
    party.talk()
    assert [bool(party[address].must_return) for address in (ONE, TWO, THREE)] == [False, False, True]
    assert party.counts[THREE].divergences == 1


def test_who_missed_something_notices_when_the_lowest_answers(party: Party) -> None:
    """Though it asked itself."""
    missing_one(party)
    party[THREE].speaker.ask(party[THREE]._triple(party[THREE].views))  # type: ignore[arg-type]
    party.order(THREE, party.take(THREE))
    party.talk()
    assert party[THREE].must_return


def test_who_is_in_another_view_notices_when_the_lowest_answers(party: Party) -> None:
    """Its fingerprint is another one."""
    party.change([ONE, TWO, THREE, FOUR], joined=[(FOUR, Reason.JOIN)], to=[THREE])
    party[THREE].speaker.ask(party[THREE]._triple(party[THREE].views))  # type: ignore[arg-type]
    party.order(THREE, party.take(THREE))
    party.talk()
    assert party[THREE].must_return


def test_who_is_behind_is_no_offender(party: Party) -> None:
    """An older triple of the same chain contradicts nobody."""
    party.say(ONE, (AGREED, b"a"))
    old = party.send(ONE, (AGREED, b"b"))
    for _ in range(3):
        party.say(TWO, (AGREED, b"c"))
    party.order(ONE, old)
    party.order(ONE, [encode_ack(parse(old[0])[0]._replace(seq=9), Query(3, ()))], to=[TWO, THREE])
    assert [party[address].must_return for address in (TWO, THREE)] == ["", ""]


# -- Evictions


def test_evicted_goes_at_one_frame_for_all(party: Party) -> None:
    """The others go on without it; it is told first, then has what it held, for itself alone, and comes back."""
    party.say(ONE, (SAFE, b"a"))
    evict(party, THREE)
    party.talk()
    heard = party.heard()
    assert heard[ONE] == heard[TWO] == ["=1:10 2:20", "a", "+1:10 2:20"]
    assert heard[THREE] == ["Evicted", "=3:30", "a", "+3:30"]
    assert party[THREE].must_return == "it was evicted"
    assert [party[address].must_return for address in (ONE, TWO)] == ["", ""]


@pytest.mark.parametrize("who", [THREE, Address(9, 9)], ids=["again", "nobody"])
def test_eviction_of_who_is_not_there_changes_nothing(party: Party, who: Address) -> None:
    """The first in the order has done it."""
    evict(party, THREE)
    party.heard()
    evict(party, who, by=TWO)
    assert party.heard() == everybody()


def test_evicted_is_heard_no_more_until_the_group_changes(party: Party) -> None:
    """Then it is there again, as one that came; CPG cannot expel."""
    evict(party, THREE)
    party.heard()
    party.order(THREE, [encode_evict(Header(1030, 9, NOWHERE), Evict(ONE, 0))])
    assert party.heard()[ONE] == []
    party.join(FOUR)
    assert party.heard()[ONE] == ["-1:10 2:20", "+1:10 2:20 3:30 3:31"]


def test_laggard_is_evicted_after_its_time() -> None:
    """The first of those that are waited for; never ourselves."""
    party = Party(ONE, TWO, THREE, settings=Settings(stall_timeout=1.0, evict_after=2.0))
    party.say(TWO, (SAFE, b"a"))
    party.wait(0.0)
    party.order(ONE, party.take(ONE))
    party.wait(1.0)
    party.take(ONE)
    party.wait(1.0)
    assert Evict(TWO, 0) in bodies(party.take(ONE)) or Evict(THREE, 0) in bodies(party.take(ONE))


@pytest.mark.parametrize(("later", "goes_after"), [(30.0, 1.0), (61.0, 10.0)])
def test_evicted_that_the_group_brings_back_goes_as_soon_as_it_stalls(later: float, goes_after: float) -> None:
    """For a minute; before those who are waited for besides it."""
    party = Party(ONE, TWO, THREE, settings=Settings(stall_timeout=1.0, evict_after=10.0))
    evict(party, THREE)
    party.wait(0.0)
    party.wait(later)
    party.join(FOUR)
    party.say(ONE, (SAFE, b"a"))
    party.wait(0.0)
    party.order(ONE, party.take(ONE))
    party.wait(goes_after - 0.5)
    assert not [body for body in bodies(party.take(ONE)) if isinstance(body, Evict)]
    party.wait(0.5)
    (demand,) = [body for body in bodies(party.take(ONE)) if isinstance(body, Evict)]
    assert demand == Evict(THREE if later < 60 else TWO, 0)


# -- Frames that do not come back


def test_last_frame_that_was_dropped_is_found(party: Party) -> None:
    """By another that is sent for no other reason."""
    party.wait(0.0)
    party.send(ONE, (AGREED, b"a"))
    party.wait(0.0)
    assert party[ONE].deadline == 1.0
    party.wait(1.0)
    party.order(ONE, party.take(ONE))
    assert party[ONE].own.lost == [1]
    assert party.counts[ONE].sent["probe"] == 1
