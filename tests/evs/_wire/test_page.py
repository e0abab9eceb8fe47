"""docs/reference/evs-wire.md says what is so: who writes an endpoint by it is understood."""

from __future__ import annotations

import re
from pathlib import Path

from aiocpg import Address, Guarantee, RingChange, RingId
from aiocpg.evs._endpoint import Counts
from aiocpg.evs._endpoint.chain import KEPT, Chain
from aiocpg.evs._endpoint.chunks import MAX_MESSAGE
from aiocpg.evs._endpoint.view import fingerprint
from aiocpg.evs._values import EvsGroup
from aiocpg.evs._wire import HEADER_SIZE, Header, Triple, identity
from aiocpg.evs._wire.control import MAX_ANSWERS
from aiocpg.evs._wire.data import MAX_KEYS, MAX_META, MAX_RECORDS, MAX_SETS
from aiocpg.evs._wire.header import FLAG_CRC, FLAG_REQUEST, FLAG_SAFE, FLAG_STRICT, Kind
from aiocpg.evs._wire.meta import ABORTED, CHUNK, TRACE, Chunk, encode_chunk
from faults.evs_fuzzing import WORDS
from support.evs_frames import encode_data, read

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "evs-wire.md").read_text()
ONE, TWO = Address(1, 4242), Address(2, 4250)
RING = RingChange(RingId(1, 0x4C), (1, 2))


def table(head: str) -> list[list[str]]:
    """Return the cells of the table whose first line begins so, without the two lines on top."""
    found = re.search(rf"^\| {re.escape(head)}.*(?:\n\|.*)*", PAGE, re.MULTILINE)
    assert found, head
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[0].splitlines()[2:]]


def example() -> bytes:
    """The frame of the page."""
    return bytes.fromhex(re.findall(r"^```text\n(61455653.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0])


def test_frame_of_the_page_is_the_one_we_send() -> None:
    """Byte for byte."""
    orders, stock = EvsGroup("orders").key, EvsGroup("stock").key
    messages = [
        (Guarantee.AGREED, orders + stock, b"", b"hello"),
        (Guarantee.SAFE, orders, encode_chunk(Chunk(1, 0, 5)), b"world"),
    ]
    header = Header(0x11223344, 1, Triple(fingerprint(RING, [TWO, ONE]), 0, 0))
    assert encode_data(header, messages) == example()


def test_frame_of_the_page_is_read_by_its_tables() -> None:
    """By a reader that shares no line with ours."""
    told = read(example())
    assert told is not None
    assert [(guarantee, payload) for guarantee, _, _, payload in told[2]] == [(2, b"hello"), (3, b"world")]


def test_fingerprint_and_chain_of_the_page_are_ours() -> None:
    """Of the view in the example, and after its frame."""
    chain = Chain()
    chain.add(identity(ONE, example()))
    assert f"fingerprint of the view is {fingerprint(RING, [ONE, TWO]):08x}" in PAGE
    assert f"after this frame {chain.value:08x}" in PAGE
    assert f"to {KEPT} frames before the newest" in PAGE


def test_header_of_the_page_has_no_gap() -> None:
    """Each field begins where the one before ends."""
    place = 0
    for at, size, *_ in table("at"):
        assert int(at) == place
        place += int(size)
    assert place == HEADER_SIZE


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    """Kinds, flags, tags."""
    assert {int(number): name for number, name, _ in table("kind | name")} == {kind: kind.name for kind in Kind}
    flags = {int(number): name for number, name, _ in table("flag")}
    assert flags == {FLAG_CRC: "CRC", FLAG_REQUEST: "REQUEST", FLAG_SAFE: "SAFE", FLAG_STRICT: "STRICT"}
    assert [int(row[0]) for row in table("tag")] == [CHUNK, TRACE]
    assert f"so does the place {ABORTED}" in PAGE
    for guarantee in Guarantee:
        assert f"{guarantee} {guarantee.name}" in PAGE


def test_limits_of_the_page_are_those_of_the_code() -> None:
    """In its order."""
    limits = [int(most) for _, most in table("what | most")]
    assert limits == [MAX_KEYS, MAX_SETS, MAX_RECORDS, MAX_META, MAX_ANSWERS, MAX_MESSAGE]


def test_page_has_every_word_that_is_counted() -> None:
    """Who sees it in the counters finds what it means."""
    told = [word for row in table("counted as") for word in re.findall(r"`(\w+)`", row[0])]
    assert sorted(told) == sorted(WORDS)
    assert all(f"``{word}``" in (Counts.__doc__ or "") for word in ("stranger", "duplicate", "altered"))
