"""From what people hand in to one message: which types, which sizes, what is copied."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Buffer, Guarantee, MessageTooBigError
from aiocpg._payload import all_checked, joined

MAKERS: list[Callable[[bytes], Buffer]] = [bytes, bytearray, memoryview]
BUFFERS = st.builds(lambda make, data: make(data), st.sampled_from(MAKERS), st.binary())
NUMBERS = memoryview(array("I", [1, 2, 3, 4]))


@given(st.lists(BUFFERS, max_size=5))
def test_pieces_make_one_message(buffers: list[Buffer]) -> None:
    """Whatever they are; none at all is the empty message."""
    data = joined(buffers, 10**6)
    assert type(data) is bytes
    assert data == b"".join(bytes(buffer) for buffer in buffers)


def test_bytes_in_one_piece_are_not_copied() -> None:
    """They cannot change."""
    data = b"x" * 100
    assert joined((data,), 100) is data
    assert all_checked([data], 100)[0] is data


@pytest.mark.parametrize("buffer", [NUMBERS, NUMBERS[::2], NUMBERS.cast("B").cast("B", (4, 4))])
def test_memoryview_counts_bytes_and_not_items(buffer: memoryview) -> None:
    """Wide items, strides and dimensions."""
    assert joined((buffer,), buffer.nbytes) == buffer.tobytes()
    assert all_checked([buffer], buffer.nbytes) == [buffer.tobytes()]
    with pytest.raises(MessageTooBigError) as caught:
        joined((buffer,), buffer.nbytes - 1)
    assert caught.value.size == buffer.nbytes


def test_limit_is_for_all_pieces_together() -> None:
    """The most that fits, and one more."""
    assert joined((b"a" * 6, bytearray(b"b" * 4)), 10) == b"aaaaaabbbb"
    with pytest.raises(MessageTooBigError) as caught:
        joined((b"a" * 6, bytearray(b"b" * 5)), 10)
    assert (caught.value.size, caught.value.limit, caught.value.index) == (11, 10, None)


def test_refusal_copies_nothing() -> None:
    """Five gigabytes in pieces are counted, not made."""
    with pytest.raises(MessageTooBigError) as caught:
        joined([bytes(1 << 20)] * 5000, 1 << 32)
    assert caught.value.size == 5000 << 20


def test_batch_tells_which_message_is_too_big() -> None:
    """Counted from 0."""
    with pytest.raises(MessageTooBigError) as caught:
        all_checked([b"a", bytearray(11), bytes(12)], 10)
    assert (caught.value.size, caught.value.index) == (11, 1)


def test_batch_may_be_any_iterable() -> None:
    """It is read once."""
    assert all_checked((b"%d" % n for n in range(3)), 10) == [b"0", b"1", b"2"]
    assert all_checked([], 10) == []


@pytest.mark.parametrize("wrong", ["text", 5, None, [b"x"], array("B", b"x")])
def test_other_types_are_refused_wherever_they_stand(wrong: object) -> None:
    """Text has no bytes until it is encoded, and a number would become so many zeroes."""
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        joined((wrong,), 10)  # type: ignore[arg-type] # that is what is tested
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        joined((b"a", wrong), 10)  # type: ignore[arg-type] # likewise
    with pytest.raises(TypeError, match=f"not {type(wrong).__name__}"):
        all_checked([b"a", wrong], 10)  # type: ignore[list-item] # likewise


@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        ("text", r"text\.encode\(\)"),
        ([b"a", b"b"], "join it"),
        ((b"a", b"b"), "join it"),
        (Guarantee.SAFE, "name it, as in guarantee="),
        (array("B", b"x"), "memoryview"),
    ],
)
def test_refusal_of_another_type_says_what_helps(wrong: object, cure: str) -> None:
    """A list cannot be wrapped, and a guarantee that was given by its place is no part of the message."""
    with pytest.raises(TypeError, match=cure):
        joined((b"a", wrong), 10)  # type: ignore[arg-type] # that is what is tested


@pytest.mark.parametrize("one", [b"one", bytearray(b"one"), memoryview(b"one"), "one"])
def test_single_message_is_no_batch(one: object) -> None:
    """Its items would be numbers or letters."""
    with pytest.raises(TypeError, match="use mcast"):
        all_checked(one, 10)  # type: ignore[arg-type] # that is what is tested


def test_what_may_change_is_copied() -> None:
    """The buffer may be reused once the call has returned."""
    buffer = bytearray(b"before")
    messages = [joined((buffer,), 10), *all_checked([buffer], 10)]
    buffer[:] = b"behind"
    assert messages == [b"before", b"before"]
