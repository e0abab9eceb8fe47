"""A directory of their own for the brokers of these tests, which end with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.engine.local._directory import VARIABLE
from support.local_worlds import LocalWorld, end_brokers


@pytest.fixture(autouse=True)
def local_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where brokers are, and nobody else's."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "local"))
    yield tmp_path / "local"
    end_brokers(tmp_path / "local")


@pytest.fixture
def world(local_directory: Path) -> Iterator[LocalWorld]:
    """Engines that meet."""
    world = LocalWorld()
    yield world
    world.end()
