"""Bytes as people see and type them: nothing that a terminal would obey, and names that can be typed as shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg.cli._text import as_text, shown, shown_name, typed_name


@given(st.binary(max_size=40).filter(lambda name: b"\0" not in name))
def test_name_is_typed_as_it_is_shown(name: bytes) -> None:
    """Copied from one command into another, it is the same group."""
    assert typed_name(shown_name(name)) == name


def test_names_of_c_programs_can_be_typed() -> None:
    """Pacemaker's end in a NUL."""
    assert shown_name(b"crmd\0") == "crmd\\x00"
    assert typed_name("crmd\\x00") == b"crmd\0"


@pytest.mark.parametrize("name", ["a\\", "a\\n", "\\x0", "\\xzz"])
def test_unknown_escape_is_refused(name: str) -> None:
    """Rather than sent somewhere else."""
    with pytest.raises(ValueError, match="backslash"):
        typed_name(name)


@given(st.binary())
def test_shown_data_has_nothing_that_a_terminal_obeys(data: bytes) -> None:
    """It is one line, and all of it prints."""
    assert shown(data).isprintable()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"hello", "hello"),
        ("né\n\tb".encode(), "né\n\tb"),
        (b"", ""),
        (b"\xff", None),
        (b"\x1b[2J", None),
        (b"\0", None),
    ],
)
def test_text_is_told_from_other_bytes(data: bytes, text: str | None) -> None:
    """Lines and tabs are text; control characters and what is no UTF-8 are not."""
    assert as_text(data) == text
