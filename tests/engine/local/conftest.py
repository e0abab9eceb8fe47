"""Brokers of their own for these tests, which end with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.local_worlds import LocalWorld


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(local_directory: Path) -> None:
    """Nobody else's brokers are met."""


@pytest.fixture
def world(local_directory: Path) -> Iterator[LocalWorld]:
    """Engines that meet."""
    world = LocalWorld()
    yield world
    world.end()
