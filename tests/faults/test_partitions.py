"""Members on three nodes agree, ring by ring, while the network is cut and healed and all of them send."""

from __future__ import annotations

import pytest

from aiocpg.testing import CorosyncCluster
from faults.walk.checker import check
from faults.walk.schedule import Step
from faults.walk.walking import Walk
from faults.watching import Measured

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

NODES = (1, 2, 3)

WALKS = 3
"""Each must be right. A machine that stands still makes rings of its own, on which pairs are together for less."""

CUTS = (((1, 2), (3,)), ((1,), (2, 3)), ((1, 3), (2,)))


async def test_streams_agree_ring_by_ring_when_the_network_is_cut_and_healed(
    cluster: CorosyncCluster, measured: Measured
) -> None:
    """Who stays together sees the same; who comes back misses at most the beginning; nothing is doubled or turned."""
    traffic = Step("traffic", sides=(NODES,), count=100)
    steps = [traffic]
    for sides in CUTS:
        steps += [Step("partition", sides=sides), Step("formed", sides=sides), traffic]
        steps += [Step("heal"), Step("formed", sides=(NODES,)), traffic]
    for _ in range(WALKS):
        summary = check(await Walk(cluster, seed=3, steps=steps).run())
        # The pair that stayed together, on each ring of its own and on the last one.
        if summary.shared > len(CUTS) and summary.merges >= 4 * len(CUTS):
            break
    else:
        raise AssertionError(f"they were not together often enough: {summary}")
    measured("messages", summary.messages, "")
    measured("messages missed behind merges", summary.missed, "")
