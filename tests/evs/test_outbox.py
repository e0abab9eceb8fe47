"""The sending side: what waits, what is out, and what became of it. One endpoint, to which its own frames come back."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from aiocpg import Guarantee
from aiocpg.errors import ConnectionLostError, MessageLostError
from aiocpg.evs._endpoint import Delivered
from aiocpg.evs._outbox import FRAMES_AT_ONCE, PIECES_AT_ONCE, Outbox
from aiocpg.evs._packing import MESSAGE_OVERHEAD
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._values import RegularConfiguration
from support.evs_parties import AGREED, ONE, SAFE, TWO, UNORDERED, Party

SMALL = 200
"""Bytes of a frame."""

WINDOW = 1000


@pytest.fixture
def party() -> Party:
    """Provide ONE, whose outbox it is, and TWO."""
    return Party(ONE, TWO)


@pytest.fixture
def outbox() -> Outbox:
    """Provide an outbox of small frames and a small window."""
    return Outbox(b"domain", SMALL, WINDOW)


def put(outbox: Outbox, data: bytes, guarantee: Guarantee = AGREED) -> Ticket:
    """Send a message."""
    return outbox.put((guarantee, b"", b"", data))


def large(outbox: Outbox, size: int, guarantee: Guarantee = AGREED) -> Pieces:
    """Send one in pieces of 100 bytes."""
    pieces = Pieces(guarantee, b"", b"x" * size, 100, Ticket())
    outbox.put_large(pieces)
    return pieces


def fill(party: Party, outbox: Outbox) -> list[bytes]:
    """The frames that go out now."""
    outbox.fill(party[ONE])
    return party.take(ONE)


def return_(party: Party, outbox: Outbox, frames: Iterable[bytes]) -> list[Pieces]:
    """Let these come back; returns what is whole with them."""
    party.order(ONE, frames)
    whole = outbox.returned(party[ONE])
    for place, happening in enumerate(party[ONE].happenings):
        if isinstance(happening, Delivered):
            outbox.delivered(happening.entry, 10 * place + 1, happening.configuration)
    party[ONE].happenings.clear()
    return whole


def lost(ticket: Ticket) -> bool:
    """Whether the ticket says that the message is lost."""
    return isinstance(ticket._error, MessageLostError)


# -- Small messages


def test_what_is_put_together_goes_together(party: Party, outbox: Outbox) -> None:
    """As much as fits into a frame."""
    for _ in range(4):
        put(outbox, bytes(40))
    assert len(fill(party, outbox)) == 2
    assert not outbox.has_something


def test_so_many_frames_are_built_at_once(party: Party, outbox: Outbox) -> None:
    """More the next time."""
    for _ in range(FRAMES_AT_ONCE + 2):
        put(outbox, bytes(150))
    assert [len(fill(party, outbox)) for _ in range(3)] == [FRAMES_AT_ONCE, 2, 0]


def test_tickets_are_settled_as_the_parts_of_a_frame_are_delivered(party: Party, outbox: Outbox) -> None:
    """Each with the position of its own message, however they overtake one another."""
    tickets = {
        name: put(outbox, name.encode(), guarantee)
        for name, guarantee in (("a", AGREED), ("u", UNORDERED), ("s", SAFE), ("b", AGREED), ("v", UNORDERED))
    }
    return_(party, outbox, fill(party, outbox))
    assert [name for name in tickets if tickets[name].is_settled] == ["a", "u", "v"]
    assert [tickets[name]._position for name in ("u", "v", "a")] == [1, 2, 11]
    party.order(TWO, party.take(TWO))
    return_(party, outbox, party.take(ONE))
    assert [tickets[name]._position for name in ("s", "b")] == [1, 2]
    assert isinstance(tickets["s"]._configuration, RegularConfiguration)
    assert (outbox.is_empty, outbox.under_way) == (True, 0)


def test_there_is_room_until_the_window_is_full(outbox: Outbox) -> None:
    """Each message counts with what it costs besides."""
    put(outbox, bytes(WINDOW - 2 * MESSAGE_OVERHEAD))
    assert outbox.under_way == WINDOW - MESSAGE_OVERHEAD
    assert outbox.has_room(0)
    assert not outbox.has_room(1)


def test_larger_message_than_the_window_goes_alone(outbox: Outbox) -> None:
    """Or it would never go."""
    assert outbox.has_room(10 * WINDOW)
    put(outbox, b"a")
    assert not outbox.has_room(10 * WINDOW)


def test_dropped_frame_loses_its_messages(party: Party, outbox: Outbox) -> None:
    """A later one shows the gap; that one is delivered."""
    first, second = put(outbox, bytes(150)), put(outbox, bytes(150))
    frames = fill(party, outbox)
    return_(party, outbox, frames[1:])
    assert lost(first)
    assert second.is_settled
    assert not lost(second)
    assert outbox.under_way == 0


# -- Messages in pieces


def test_large_message_is_whole_when_its_last_piece_is_back(party: Party, outbox: Outbox) -> None:
    """And has its ticket settled when it is delivered."""
    pieces = large(outbox, 250)
    *early, last = fill(party, outbox)
    assert return_(party, outbox, early) == []
    assert return_(party, outbox, [last]) == [pieces]
    assert pieces.ticket.is_settled
    assert (outbox.is_empty, outbox.under_way) == (True, 0)


def test_small_messages_go_between_the_pieces(party: Party, outbox: Outbox) -> None:
    """So many pieces at once, and no more than the window has room for."""
    large(outbox, 10_000)
    assert len(fill(party, outbox)) == PIECES_AT_ONCE
    small = put(outbox, b"small")
    frames = fill(party, outbox)
    assert outbox.under_way <= WINDOW + 100
    return_(party, outbox, frames[:1])
    assert small.is_settled


def test_held_large_message_counts_whole_until_it_is_delivered(party: Party, outbox: Outbox) -> None:
    """All members hold it, so the next one waits."""
    large(outbox, 2000, SAFE)
    while frames := fill(party, outbox):
        return_(party, outbox, frames)
    assert outbox.under_way == 2000 + MESSAGE_OVERHEAD
    large(outbox, 300, SAFE)
    assert not outbox.has_something
    party.order(TWO, party.take(TWO))
    party.order(ONE, party.take(ONE))
    return_(party, outbox, [])
    assert outbox.under_way == 0
    assert outbox.has_something


def test_large_message_begins_anew_when_its_first_pieces_are_of_an_older_view(party: Party, outbox: Outbox) -> None:
    """It says that it has something to send, though all was out."""
    pieces = large(outbox, 250)
    frames = fill(party, outbox)
    return_(party, outbox, frames[:1])
    party.leave(TWO)
    return_(party, outbox, [])
    assert outbox.has_something
    anew = fill(party, outbox)
    assert return_(party, outbox, frames[1:]) == []
    assert return_(party, outbox, anew) == [pieces]
    assert pieces.ticket.is_settled
    assert outbox.under_way == 0


def test_large_message_is_delivered_once_when_all_of_it_stands_in_a_later_view(party: Party, outbox: Outbox) -> None:
    """Its sender sees the view before it sees them, and waits."""
    pieces = large(outbox, 250)
    frames = fill(party, outbox)
    party.leave(TWO)
    return_(party, outbox, [])
    assert fill(party, outbox) == []
    assert return_(party, outbox, frames) == [pieces]
    assert pieces.starts == 1


def test_dropped_piece_makes_it_begin_anew(party: Party, outbox: Outbox) -> None:
    """It is not lost."""
    pieces = large(outbox, 250)
    frames = fill(party, outbox)
    return_(party, outbox, [frames[0], frames[2]])
    assert return_(party, outbox, fill(party, outbox)) == [pieces]
    assert pieces.starts == 2


def test_given_up_message_is_forgotten_by_all(party: Party, outbox: Outbox) -> None:
    """Messages that go with it are not."""
    pieces = large(outbox, 900)
    frames = fill(party, outbox)
    outbox.withdraw(pieces)
    small = put(outbox, b"small")
    return_(party, outbox, [*frames, *fill(party, outbox)])
    assert small.is_settled
    assert not pieces.ticket.is_settled
    assert party[TWO].views
    assert party[TWO].views.current.chunks.held == 0
    assert (outbox.is_empty, outbox.under_way) == (True, 0)


def test_giving_up_what_has_not_begun_sends_nothing(party: Party, outbox: Outbox) -> None:
    """There is nothing to forget."""
    outbox.withdraw(large(outbox, 900))
    assert fill(party, outbox) == []
    assert outbox.is_empty


def test_message_that_was_given_up_too_late_is_delivered(party: Party, outbox: Outbox) -> None:
    """And the window opens again, but nobody waits for it."""
    pieces = large(outbox, 250)
    frames = fill(party, outbox)
    outbox.withdraw(pieces)
    assert return_(party, outbox, [*frames, *fill(party, outbox)]) == []
    assert pieces.ticket.is_settled
    assert outbox.under_way == 0


# -- Ends


def test_what_was_out_at_the_end_of_a_life_is_lost_and_what_waits_is_not(party: Party, outbox: Outbox) -> None:
    """That goes out in the next one. A large message begins anew there."""
    out, pieces = put(outbox, b"out"), large(outbox, 250)
    fill(party, outbox)
    waits = put(outbox, b"waits")
    outbox.end_life()
    assert (lost(out), waits.is_settled, pieces.ticket.is_settled) == (True, False, False)
    return_(Party(ONE), outbox, [])
    anew = Party(ONE)
    assert return_(anew, outbox, fill(anew, outbox)) == [pieces]
    assert waits.is_settled
    assert not lost(waits)
    assert outbox.under_way == 0


def test_nobody_knows_what_was_out_when_the_connection_is_lost(party: Party, outbox: Outbox) -> None:
    """Also of a large message of which pieces were; one that waits goes out later."""
    out, begun, waits = put(outbox, b"out"), large(outbox, 250), large(outbox, 250)
    fill(party, outbox)
    outbox.end_life(ConnectionLostError("gone"))
    assert isinstance(out._error, ConnectionLostError)
    assert isinstance(begun.ticket._error, ConnectionLostError)
    assert not waits.ticket.is_settled


def test_at_the_end_everything_has_an_outcome(party: Party, outbox: Outbox) -> None:
    """Whatever it waited for."""
    tickets = [put(outbox, b"out"), large(outbox, 250).ticket]
    fill(party, outbox)
    tickets += [put(outbox, b"waits"), large(outbox, 250).ticket]
    outbox.end(ConnectionLostError("gone"))
    assert all(isinstance(ticket._error, ConnectionLostError) for ticket in tickets)
    assert (outbox.is_empty, outbox.under_way) == (True, 0)


def test_what_was_given_up_and_could_not_be_said_any_more_is_known_too(party: Party, outbox: Outbox) -> None:
    """Or closing would wait until nobody has to forget it, for as long as it may."""
    pieces = large(outbox, 900)
    fill(party, outbox)
    outbox.withdraw(pieces)
    outbox.end(ConnectionLostError("gone"))
    assert (outbox.is_empty, outbox.under_way) == (True, 0)


def test_credit_never_reaches_past_the_window(party: Party, outbox: Outbox) -> None:
    """Also where a large message takes the room meanwhile."""
    outbox.lend(WINDOW)
    assert outbox.credit == WINDOW
    large(outbox, 10_000)
    while fill(party, outbox):
        pass
    assert outbox.credit == max(0, WINDOW - outbox.under_way)
    assert outbox.credit < WINDOW
