"""The broker of ``local://`` and frames that no client would send."""

from __future__ import annotations

import pytest

from faults.fuzzing import fuzz
from faults.watching import Measured

MOST_MORE = 32 * 1024
"""KiB that the broker may grow by; a thousand sockets take some."""


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.usefixtures("local_directory")
async def test_honest_clients_do_not_notice_hostile_ones(measured: Measured) -> None:
    """20 000 frames; see campaigns.py for the million."""
    told = await fuzz(20_000, seed=1)
    for name, value in told._asdict().items():
        measured(name, value, "")
    assert told.rss_peak - told.rss_before < MOST_MORE
