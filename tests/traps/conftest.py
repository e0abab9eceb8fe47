"""The traps are about asyncio wrappers of libcpg, so their tests run on asyncio."""

from __future__ import annotations

import pytest

from support.loops import BACKENDS, Backend


@pytest.fixture(scope="module", params=[BACKENDS["asyncio"]], ids=["asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Run the test on asyncio alone."""
    backend: Backend = request.param
    return backend
