"""What the conformance suite reads from records, without an engine."""

from __future__ import annotations

import re

import pytest

from aiocpg import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg.testing.conformance._reading import (
    Record,
    behind_join_of,
    first_difference,
    is_about,
    messages,
    own_departure,
    own_join,
    payloads,
    ring_changes,
    rings,
    short,
    without_rings,
)

ME, OTHER = Address(1, 10), Address(2, 20)
RING = RingChange(RingId(1, 4), (1, 2))


def change(*members: Address, joined: tuple[Address, Reason] = (), left: tuple[Address, Reason] = ()) -> Record:
    """Make a change of one line."""
    lists = [(MemberChange(*entry),) if entry else () for entry in (joined, left)]
    return ConfigurationChange(b"group", members, *lists)


JOIN = change(ME, OTHER, joined=(ME, Reason.JOIN))
LEAVE = change(OTHER, left=(ME, Reason.LEAVE))
CUT = change(ME, left=(OTHER, Reason.NODEDOWN))
MERGE = change(ME, OTHER, joined=(OTHER, Reason.NODEUP))
HELLO, ECHO = (ME, b"hello"), (OTHER, b"echo")


def test_life_begins_with_the_own_join() -> None:
    """Whatever comes before."""
    early = change(OTHER, joined=(OTHER, Reason.JOIN))
    assert own_join([early, RING, HELLO, JOIN], ME) == 3
    assert own_join([early, RING, HELLO], ME) is None


def test_life_ends_with_the_own_departure_behind_the_join() -> None:
    """A departure before it was that of an earlier membership."""
    assert own_departure([LEAVE, JOIN, HELLO, LEAVE], ME) == 3
    assert own_departure([LEAVE, JOIN, HELLO], ME) is None
    assert own_departure([LEAVE], ME) is None


def test_who_left_and_is_a_member_is_not_gone() -> None:
    """A node that was away may see itself listed so."""
    assert own_departure([JOIN, change(ME, OTHER, left=(ME, Reason.NODEDOWN))], ME) is None


@pytest.mark.parametrize("record", [HELLO, JOIN, LEAVE, CUT])
def test_record_is_about_who_sent_it_or_is_named_in_it(record: Record) -> None:
    """As a member, as one that came, as one that went."""
    assert is_about(record, ME)


@pytest.mark.parametrize("record", [ECHO, RING, change(OTHER, joined=(OTHER, Reason.JOIN))])
def test_record_of_others_is_not_about_us(record: Record) -> None:
    """Rings are about nodes."""
    assert not is_about(record, ME)


def test_records_are_parted_by_kind() -> None:
    """In their order."""
    records = [JOIN, RING, HELLO, ECHO, LEAVE]
    assert messages(records) == [HELLO, ECHO]
    assert payloads(records, OTHER) == [b"echo"]
    assert rings(records) == [RING]
    assert without_rings(records) == [JOIN, HELLO, ECHO, LEAVE]
    assert behind_join_of(records, ME) == [RING, HELLO, ECHO, LEAVE]
    assert behind_join_of(records, OTHER) == records


def test_ring_change_goes_from_its_first_change_to_its_ring() -> None:
    """What is no ring change is in none; one that has not ended is told as far as it goes."""
    records = [JOIN, RING, HELLO, CUT, ECHO, RING, LEAVE, MERGE, RING, HELLO, CUT]
    assert list(ring_changes(records)) == [[CUT, ECHO, RING], [MERGE, RING], [CUT]]


def test_equal_sequences_have_no_difference() -> None:
    """The answer is empty."""
    assert first_difference([JOIN, HELLO], [JOIN, HELLO]) == ""


@pytest.mark.parametrize(
    ("here", "there", "text"),
    [
        ([JOIN, HELLO], [JOIN, ECHO], "at record 1 one has a message of 1:10: b'hello' .* message of 2:20"),
        ([JOIN, HELLO], [JOIN], "one has 2 records, the other 1"),
        ([JOIN, HELLO], [HELLO, JOIN], "at record 0"),
    ],
)
def test_difference_is_told_in_words(here: list[Record], there: list[Record], text: str) -> None:
    """The first one."""
    assert re.search(text, first_difference(here, there))


def test_record_is_told_in_one_line() -> None:
    """However large it is."""
    assert short((ME, bytes(1_000_000))).endswith("(1000000 bytes)")
    assert len(short((ME, bytes(1_000_000)))) < 200
