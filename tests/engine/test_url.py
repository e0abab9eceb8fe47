"""What a URL may say to each engine: names, numbers, and nothing that is not looked at."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiocpg.engine._url import Place, check_url, place_in
from aiocpg.errors import UsageError


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("local://demo", Place("demo")),
        ("LOCAL://Demo.1_x-y", Place("Demo.1_x-y")),
        ("local://demo/", Place("demo")),
        ("local://demo?pid=7", Place("demo", pid=7)),
        ("memory://demo?node=2&pid=4294967295", Place("demo", 2, 4294967295)),
    ],
)
def test_embedded_engines_take_a_name_and_numbers(url: str, place: Place) -> None:
    """The scheme in any case, the name as it is written."""
    assert place_in(check_url(url), {"node", "pid"}) == place


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".x", "-x", "a" * 65, "a/b", "a%2fb", "a@b", "a:1", "ä", "a b", "[::1"]
)
@pytest.mark.parametrize("scheme", ["local", "memory"])
def test_name_that_could_lead_elsewhere_is_refused(scheme: str, name: str) -> None:
    """It becomes the name of a file."""
    with pytest.raises(UsageError):
        check_url(f"{scheme}://{name}")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("node=2", "'node' is unknown; there is pid"),
        ("x=1", "'x' is unknown"),
        ("pid=1&pid=1", "given twice"),
        ("pid=", "no number"),
        ("pid=0", "no number"),
        ("pid=-1", "no number"),
        ("pid=4294967296", "no number"),
        ("pid=٣", "no number"),
        ("pid=" + "9" * 5000, "no number"),
    ],
)
def test_parameter_that_means_nothing_is_refused(query: str, words: str) -> None:
    """Whoever writes it believes that it matters."""
    with pytest.raises(UsageError, match=words):
        check_url(f"local://demo?{query}")


@pytest.mark.parametrize("url", ["local://", "memory:///x", "local://a/b?pid=1"])
def test_error_quotes_what_was_given(url: str) -> None:
    """Not what its parts make when put together again."""
    with pytest.raises(UsageError) as caught:
        check_url(url)
    assert str(caught.value).startswith(repr(url))


@given(st.text(max_size=40))
def test_any_text_is_a_place_or_refused(text: str) -> None:
    """And a place is a plain file name."""
    try:
        parts = check_url(f"local://{text}")
    except UsageError:
        return
    name = place_in(parts, {"pid"}).name
    assert name.isascii()
    assert not set(name) & set("/\\%\0 ")
    assert urlsplit(f"local://{text}").netloc == name
