"""Fixtures of the tests of the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cli.terminals import Terminal, desk


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Opens a command beside the test; it is gone at the end."""
    with desk() as open_terminal:
        yield open_terminal
