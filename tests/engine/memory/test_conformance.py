"""The engine inside the process keeps every promise, one test for each check, also where its members lag."""

from __future__ import annotations

import pytest

from aiocpg.testing import MemoryCluster
from aiocpg.testing.conformance import CHECKS, Check, Outcome, run_check
from support.worlds import MemoryWorld

pytestmark = pytest.mark.anyio

PATIENCE = 15
"""Seconds until a wait counts as a hang."""


class LaggingWorld(MemoryWorld):
    """One whose members get little at a time, each its own share."""

    async def reset(self) -> None:
        await super().reset()
        self._cluster.delay()


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_promise_is_kept(check: Check, cluster: MemoryCluster) -> None:
    """None is left out: the world has all misfortunes."""
    result = await run_check(check, MemoryWorld(cluster), patience=PATIENCE)
    assert result.outcome is Outcome.KEPT


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_promise_is_kept_when_members_lag(check: Check, cluster: MemoryCluster) -> None:
    """Late is not lost, and not in another order."""
    result = await run_check(check, LaggingWorld(cluster), patience=PATIENCE)
    assert result.outcome is Outcome.KEPT
