"""Meta: items of a tag, a length and bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg.evs._wire import MalformedError
from aiocpg.evs._wire.data import MAX_META
from aiocpg.evs._wire.meta import (
    ABORTED,
    CHUNK,
    MAX_TRACE,
    TRACE,
    Chunk,
    chunk_of,
    decode_meta,
    encode_chunk,
    encode_trace,
    trace_of,
)
from support.evs_frames import item, metas, u32

chunks = st.builds(Chunk, u32, u32, st.integers(0, 2**64 - 1))


@given(chunks)
def test_chunk_is_read_as_it_was_written(chunk: Chunk) -> None:
    """Its id, its place, the size of the whole."""
    assert chunk_of(encode_chunk(chunk)) == chunk


def test_chunk_is_byte_for_byte_what_it_always_was() -> None:
    """Three numbers behind tag and length."""
    chunk = Chunk(7, ABORTED, 2**40)
    assert encode_chunk(chunk) == bytes.fromhex("01 1000 07000000 ffffffff 0000000000010000")


@given(chunks, metas.filter(lambda meta: CHUNK not in decode_meta(meta)), metas)
def test_chunk_is_found_between_others(chunk: Chunk, before: bytes, behind: bytes) -> None:
    """Unknown tags are left alone, also those that a later release will know; the first of a tag counts."""
    assert chunk_of(before + encode_chunk(chunk) + behind) == chunk


def test_message_without_a_chunk_is_whole() -> None:
    """Whatever else it carries."""
    assert chunk_of(b"") is None
    assert chunk_of(item(TRACE, b"00-4bf9-00f0-01")) is None


@given(chunks, st.binary(max_size=MAX_TRACE))
def test_context_of_a_trace_travels_beside_a_chunk(chunk: Chunk, context: bytes) -> None:
    """However long it may be, there is room for both."""
    meta = encode_chunk(chunk) + encode_trace(context)
    assert (trace_of(meta), chunk_of(meta)) == (context, chunk)
    assert len(meta) <= MAX_META


def test_message_without_a_trace_has_an_empty_one() -> None:
    """Whatever else it carries."""
    assert trace_of(b"") == b""
    assert trace_of(encode_chunk(Chunk(1, 2, 3))) == b""


def test_items_are_read_by_tag() -> None:
    """The first of each, an empty one too."""
    assert decode_meta(item(5, b"one") + item(0, b"") + item(5, b"two")) == {5: b"one", 0: b""}


@pytest.mark.parametrize(
    "meta",
    [b"\x09", b"\x09\x00", b"\x09\x01\x00", b"\x09\xff\xff", item(9, b"good") + b"\x09", item(9, b"x")[:-1]],
)
def test_item_without_its_end_is_refused(meta: bytes) -> None:
    """Where the tag is known and where it is not."""
    with pytest.raises(MalformedError, match="meta"):
        decode_meta(meta)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_chunk_of_another_size_is_refused(size: int) -> None:
    """A longer one would need another tag."""
    with pytest.raises(MalformedError, match="meta"):
        chunk_of(item(CHUNK, bytes(size)))
