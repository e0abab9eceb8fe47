"""The messages of the interop tests carry enough to tell a changed one, and Python makes the bytes that C makes."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg import Address
from interop.payload import HEADER, make_payload, sequence_of

SENDER = Address(1, 4242)


@given(st.integers(0, 2**32 - 1), st.integers(HEADER.size, 2000))
def test_sequence_of_returns_the_sequence_when_the_message_is_whole(sequence: int, size: int) -> None:
    """A message has the size asked for and tells its sequence."""
    message = make_payload(SENDER, sequence, size)
    assert (len(message), sequence_of(SENDER, message)) == (size, sequence)


def test_sequence_of_returns_none_when_the_message_is_empty() -> None:
    """Empty messages have no header."""
    assert sequence_of(SENDER, make_payload(SENDER, 5, 0)) is None


@given(st.integers(HEADER.size, 99), st.integers(1, 255))
def test_sequence_of_raises_when_a_byte_was_changed(index: int, difference: int) -> None:
    """The crc of the rest catches any single byte."""
    message = bytearray(make_payload(SENDER, 7, 100))
    message[index] ^= difference
    with pytest.raises(ValueError, match="not a message of 1:4242"):
        sequence_of(SENDER, bytes(message))


def test_sequence_of_raises_when_the_message_names_another_sender() -> None:
    """A message cannot pass for somebody else's."""
    with pytest.raises(ValueError, match="not a message of 2:1"):
        sequence_of(Address(2, 1), make_payload(SENDER, 7, 100))


def test_make_payload_fills_the_rest_from_the_sequence() -> None:
    """The rest counts up from the sequence, byte by byte, as ``member.c`` fills it."""
    rest = make_payload(SENDER, 254, HEADER.size + 300)[HEADER.size :]
    assert rest == bytes((254 + i) % 256 for i in range(300))
    assert HEADER.unpack_from(make_payload(SENDER, 254, HEADER.size + 300))[4] == zlib.crc32(rest)
