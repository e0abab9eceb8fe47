"""``local://`` keeps what every engine promises."""

from __future__ import annotations

import pytest

from aiocpg.testing.conformance import CHECKS, Check, Outcome, run_check
from support.local_worlds import LocalWorld

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("check", CHECKS, ids=str)
async def test_promise_is_kept(check: Check, world: LocalWorld) -> None:
    """All but what takes several nodes."""
    result = await run_check(check, world)
    assert result.outcome is (Outcome.NOT_APPLICABLE if "cut" in check.needs else Outcome.KEPT)
