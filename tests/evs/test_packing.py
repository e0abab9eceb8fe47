"""Packing: as many messages as fit go into a frame, in their order, and never more than its fields can say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg.evs._packing import MESSAGE_OVERHEAD, MESSAGES_PER_FRAME, Packer
from aiocpg.evs._wire import Record, encode_body, parse
from aiocpg.evs._wire.data import MAX_SETS
from support.evs_frames import HEADER, keys, metas

KEY = b"k" * 32
records = st.lists(st.tuples(st.integers(0, 3), keys, metas, st.binary(max_size=200)), max_size=30)


def packed(messages: Iterable[Record], limit: int = 1 << 20) -> Iterator[tuple[int, list[Record]]]:
    """Yield the frames of these messages: the size, and what is read out of them."""
    packer: Packer[int] = Packer(limit)
    for place, record in enumerate(messages):
        packer.add_record(record)
        packer.add_tag(place)
    while packer:
        frame = packer.take()
        data = encode_body(HEADER, frame.body(), is_safe=frame.is_safe)
        header, body = parse(data)
        assert isinstance(body, list)
        assert frame.is_safe == any(record[0] == 3 for record in body) == bool(header.flags & 4)
        assert frame.cost == sum(len(record[3]) + MESSAGE_OVERHEAD for record in body)
        yield len(data), body


@given(records, st.integers(100, 600))
def test_messages_come_out_in_their_order_in_frames_within_the_limit(sent: list[Record], limit: int) -> None:
    """One that is larger goes alone."""
    frames = list(packed(sent, limit))
    assert [record for _, body in frames for record in body] == sent
    assert all(size <= limit or len(body) == 1 for size, body in frames)


@given(records)
def test_what_belongs_to_messages_is_told_as_they_are_delivered(sent: list[Record]) -> None:
    """Those that overtake, those up to the first SAFE one, the rest."""
    packer: Packer[int] = Packer(1 << 20)
    for place, record in enumerate(sent):
        packer.add_record(record)
        packer.add_tag(place)
    if not sent:
        assert not packer
        return
    frame = packer.take()
    ordered = [place for place, record in enumerate(sent) if record[0] != 0]
    assert frame.unordered == [place for place, record in enumerate(sent) if record[0] == 0]
    assert frame.ordered + frame.safe == ordered
    assert all(sent[place][0] != 3 for place in frame.ordered)
    assert not frame.safe or sent[frame.safe[0]][0] == 3


@pytest.mark.parametrize("others", [1, 2])
def test_frame_has_so_many_messages_at_the_most(others: int) -> None:
    """Whether they are for the same groups or for others by turns."""
    all_keys = [bytes([number]) * 32 for number in range(others)]
    sent = [(2, all_keys[number % others], b"", b"") for number in range(MESSAGES_PER_FRAME + 1)]
    assert [len(body) for _, body in packed(sent)] == [MESSAGES_PER_FRAME, 1]


def test_frame_is_full_with_255_sets_of_groups() -> None:
    """The number of a set is a byte."""
    sent = [(2, bytes([number]) * 32, b"", b"") for number in range(MAX_SETS + 1)]
    assert [len(body) for _, body in packed(sent)] == [MAX_SETS, 1]
