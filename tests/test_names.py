"""Group names: bytes or text, 1 to 127 bytes, everything in them kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg._names import MAX_NAME_LENGTH, group_name
from aiocpg.errors import GroupNameError


@given(st.binary(min_size=1, max_size=MAX_NAME_LENGTH))
def test_bytes_are_kept_as_they_are(name: bytes) -> None:
    """Any byte is allowed, a trailing NUL too: Pacemaker's names end in one."""
    assert group_name(name) == name
    assert group_name(b"crmd\0") == b"crmd\0"


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=31))
def test_text_travels_as_utf8(name: str) -> None:
    """What was given as text is one group with its UTF-8 bytes."""
    assert group_name(name).decode() == name


def test_limit_counts_bytes_and_not_characters() -> None:
    """63 umlauts and a letter have 127 bytes, 64 umlauts 128."""
    assert len(group_name("ä" * 63 + "a")) == MAX_NAME_LENGTH
    with pytest.raises(GroupNameError, match="has 128 bytes, the limit is 127"):
        group_name("ä" * 64)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "must not be empty"),
        (b"", "must not be empty"),
        (b"x" * 128, "has 128 bytes"),
        ("\ud800", "no UTF-8 form"),
        (bytearray(b"group"), "must be bytes or str, not bytearray"),
        (None, "must be bytes or str, not NoneType"),
        (7, "must be bytes or str, not int"),
    ],
)
def test_bad_name_is_refused_with_the_reason(name: object, reason: str) -> None:
    """The error names what was given."""
    with pytest.raises(GroupNameError, match=reason) as caught:
        group_name(name)  # type: ignore[arg-type] # that is what is tested
    assert caught.value.name is name
