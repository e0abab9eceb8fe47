"""aiohttp runs on asyncio, with either of its loops."""

from __future__ import annotations

from typing import Any

import pytest

from support.loops import BACKENDS

LOOPS = {name: backend for name, backend in BACKENDS.items() if name != "trio"}


@pytest.fixture(scope="module", params=LOOPS.values(), ids=LOOPS.keys())
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run a test that asks for anyio's plugin on the loops that aiohttp runs on."""
    return request.param
