"""A cluster inside the process, for each test a new one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from aiocpg.testing import MemoryCluster


@pytest.fixture
def cluster() -> Iterator[MemoryCluster]:
    """Three nodes without daemons."""
    with MemoryCluster() as cluster:
        yield cluster
