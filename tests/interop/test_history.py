"""The checker of histories rejects what it must, or else the interop tests would show nothing."""

from __future__ import annotations

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Address
from interop.history import Change, Content, Delivery, HistoryError, Record, agreed_part, check, parse

ONE, TWO = Address(1, 100), Address(2, 200)
SENT = {sender: [Content(64, sequence, sequence * 7) for sequence in range(4)] for sender in (ONE, TWO)}
JOINS: list[Record] = [Change("J", ONE, 1), Change("J", TWO, 1)]
MESSAGES = list(chain.from_iterable((Delivery(ONE, a), Delivery(TWO, b)) for a, b in zip(*SENT.values(), strict=True)))
GOOD: list[Record] = [*JOINS, *MESSAGES]


def check_against_good(history: list[Record]) -> None:
    """Check a history beside one that is right."""
    check({"good": GOOD, "other": history}, SENT)


def test_check_accepts_equal_histories_when_joins_and_leaves_around_them_differ() -> None:
    """A later joiner did not see the first join, and who stayed longer saw a departure."""
    check_against_good([*GOOD[1:], Change("L", ONE, 2)])


def test_check_accepts_equal_empty_messages_when_they_carry_no_sequence() -> None:
    """Empty messages are alike, so only their number and place count."""
    empty = [Delivery(ONE, Content(0, None, 0))] * 3
    check({"a": empty, "b": list(empty)}, {ONE: [Content(0, None, 0)] * 3})


@given(st.integers(0, len(MESSAGES) - 2))
def test_check_rejects_a_swapped_pair_when_the_messages_are_all_there(index: int) -> None:
    """Two neighbours of two senders changed places: per-sender order holds, the one order does not."""
    swapped = list(MESSAGES)
    swapped[index : index + 2] = reversed(swapped[index : index + 2])
    with pytest.raises(HistoryError, match="other against good: at"):
        check_against_good([*JOINS, *swapped])


def test_check_rejects_all_histories_when_a_sender_is_out_of_order_in_all() -> None:
    """Everybody agrees on an order that is not the sender's."""
    swapped = [MESSAGES[2], MESSAGES[1], MESSAGES[0], *MESSAGES[3:]]
    with pytest.raises(HistoryError, match="out of order"):
        check({"a": swapped, "b": swapped}, SENT)


@given(st.integers(0, len(MESSAGES) - 1))
def test_check_rejects_a_missing_message_wherever_it_was(index: int) -> None:
    """One message did not arrive at one member."""
    with pytest.raises(HistoryError, match=r"1 missing"):
        check_against_good([*JOINS, *MESSAGES[:index], *MESSAGES[index + 1 :]])


@given(st.integers(0, len(MESSAGES) - 1), st.integers(0, len(MESSAGES)))
def test_check_rejects_a_doubled_message_wherever_it_comes_again(index: int, again: int) -> None:
    """One message arrived twice at one member."""
    doubled = [*MESSAGES[:again], MESSAGES[index], *MESSAGES[again:]]
    with pytest.raises(HistoryError, match=r": 1 doubled or altered"):
        check_against_good([*JOINS, *doubled])


def test_check_rejects_a_foreign_message_when_its_sender_sent_nothing() -> None:
    """A message of somebody who is not in the list of senders."""
    foreign = Delivery(Address(3, 300), Content(64, 0, 0))
    with pytest.raises(HistoryError, match="foreign"):
        check_against_good([*GOOD, foreign])


def test_check_rejects_an_altered_message_when_only_its_content_differs() -> None:
    """Length, sender and sequence are right, the bytes are not."""
    altered = MESSAGES[0]._replace(content=MESSAGES[0].content._replace(crc=1))
    with pytest.raises(HistoryError, match=r"1 missing.*1 doubled or altered"):
        check_against_good([*JOINS, altered, *MESSAGES[1:]])


def test_check_rejects_a_change_of_membership_when_it_stands_elsewhere() -> None:
    """A departure between two messages must be between the same two for all."""
    departure = Change("L", Address(3, 300), 5)
    here, there = [*JOINS, *MESSAGES], [*JOINS, *MESSAGES]
    here.insert(4, departure)
    there.insert(5, departure)
    with pytest.raises(HistoryError, match="b against a: at 3"):
        check({"a": here, "b": there}, SENT)


def test_agreed_part_is_empty_when_nothing_was_delivered() -> None:
    """Joins alone are not shared: each member sees those after its own."""
    assert list(agreed_part(JOINS)) == []


def test_parse_reads_every_kind_of_line() -> None:
    """The text of ``member.c`` becomes records."""
    text = "J 1:100 1\nM 1:100 64 3 0000002a\nM 2:200 0 - 00000000\nL 2:200 5\n"
    empty = Delivery(TWO, Content(0, None, 0))
    assert parse(text) == [Change("J", ONE, 1), Delivery(ONE, Content(64, 3, 42)), empty, Change("L", TWO, 5)]


@pytest.mark.parametrize("line", ["", "M 1:100 64", "X 1:100 1"])
def test_parse_rejects_a_line_that_is_no_record(line: str) -> None:
    """A record cut short is not read as a shorter history."""
    with pytest.raises(HistoryError, match="not a record"):
        parse(line + "\n")
