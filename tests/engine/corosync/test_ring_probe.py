"""Finding out the present ring, which no call of libcpg tells."""

from __future__ import annotations

import logging

import pytest

from aiocpg import RingChange
from aiocpg._loop import current_port
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._ring_probe import RingProbe
from aiocpg.testing import CorosyncCluster
from aiocpg.testing._syscalls import CLONE_NEWNET, unshare
from support.running import turns, until

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed


async def probe(daemon: Daemon) -> RingChange | None:
    """Find out a daemon's ring."""
    found: list[RingChange | None] = []
    RingProbe(current_port(), daemon, found.append)
    await until(lambda: found)
    (ring,) = found
    return ring


@pytest.mark.usefixtures("no_leaks")
async def test_ring_is_that_of_the_nodes_daemon(cluster: CorosyncCluster) -> None:
    """The same for all of them, and nothing stays open."""
    (ring,) = {await probe(Daemon(node.enter)) for node in cluster.nodes}
    assert ring is not None
    assert ring.nodes == (1, 2, 3)


async def test_ring_that_cannot_be_had_is_none(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged why; readers still get the next ring."""
    assert await probe(Daemon(lambda: unshare(CLONE_NEWNET))) is None
    assert [(record.name, record.levelno) for record in caplog.records] == [("aiocpg", logging.WARNING)]
    assert "CS_ERR_LIBRARY" in caplog.text


@pytest.mark.usefixtures("no_leaks")
async def test_probe_that_was_called_back_reports_nothing(cluster: CorosyncCluster) -> None:
    """The connection was closed meanwhile."""
    found: list[RingChange | None] = []
    probe = RingProbe(current_port(), Daemon(cluster.node(1).enter), found.append)
    probe.give_up()
    assert await _another(cluster)
    await turns()
    assert found == []


async def _another(cluster: CorosyncCluster) -> RingChange | None:
    return await probe(Daemon(cluster.node(1).enter))
