"""What is decided from a snapshot: who is ready, who is live, and why not."""

from __future__ import annotations

import pytest

import aiocpg
from aiocpg import lowlevel
from aiocpg._service import Joined, joined, liveness, readiness
from aiocpg.testing import ClusterNode, MemoryCluster
from support.handles import inside
from support.running import until
from support.web import fresh_world

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


def states(service: Joined) -> dict[str, object]:
    """Return the states of the groups as a probe says them."""
    return {name: group["state"] for name, group in readiness(service).body["groups"].items()}


async def test_every_state_of_a_group_is_known() -> None:
    """The word comes from ``repr``: this holds it to the words that the rules know."""
    with MemoryCluster(nodes=1) as cluster:
        async with joined(["kept", "left"], cluster.node(1).url, 30, None, None, {"reconnect": True}) as service:
            assert states(service) == {"kept": "member", "left": "member"}
            await service.groups[b"left"].leave()
            assert states(service) == {"kept": "member", "left": "closed"}
            cluster.node(1).kill()
            await until(lambda: not service.connection.health.is_connected)
            assert states(service) == {"kept": "away", "left": "closed"}
            assert liveness(service).body["reasons"] == ["group left: closed"]
            cluster.node(1).start()
            await until(lambda: states(service)["kept"] == "member")
        assert states(service) == {"kept": "closed", "left": "closed"}


async def test_group_that_is_away_lives() -> None:
    """It is come back to, so a restart would only make the gap longer."""
    with MemoryCluster(nodes=1) as cluster:
        async with joined(["orders"], cluster.node(1).url, 30, None, None, {"reconnect": True}) as service:
            cluster.node(1).kill()
            await until(lambda: states(service) == {"orders": "away"})
            assert (readiness(service).status, liveness(service).status) == (503, 200)


async def test_closed_is_in_order_at_the_end_only() -> None:
    """A service that has closed its connection and goes on is not ready, and never will be again."""
    async with joined(["orders"], fresh_world(), 30, None, None, {}) as service:
        assert liveness(service).status == 200
        await service.connection.aclose()
        assert (readiness(service).status, liveness(service).status) == (503, 503)
        assert liveness(service).body["reasons"] == ["the connection is over"]
    assert (readiness(service).status, liveness(service).status) == (503, 200)


async def test_loss_for_good_is_known() -> None:
    """Only a restart helps."""
    with MemoryCluster(nodes=1) as cluster:
        async with joined(["orders"], cluster.node(1).url, 30, None, None, {}) as service:
            cluster.node(1).kill()
            await until(lambda: not service.connection.health.is_connected)
            assert states(service) == {"orders": "lost"}
            assert readiness(service).body["reasons"] == ["the connection is over", "group orders: lost"]
            assert liveness(service).status == 503


async def test_name_that_is_no_text_is_shown() -> None:
    """Pacemaker's names end in a NUL, others are any bytes."""
    async with joined([b"crmd\0", b"\xff"], fresh_world(), 30, None, None, {}) as service:
        assert list(readiness(service).body["groups"]) == ["crmd\0", "\\xff"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_end_of_one_group_is_not_the_end_of_the_connection(
    fresh_node: ClusterNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something else in this process left the group by a wrong name: that one is lost for good, the others stay."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: fresh_node.connect(**options))
    async with joined(["orders", "chat"], None, 30, None, None, {"reconnect": True}) as service:
        stranger = inside(fresh_node, lowlevel.initialize)
        lowlevel.join(stranger, "strangers")
        lowlevel.leave(stranger, "chat")
        await until(lambda: states(service)["chat"] != "member")
        assert states(service) == {"orders": "member", "chat": "lost"}
        assert readiness(service).body["reasons"] == ["group chat: lost"]
        assert (liveness(service).status, liveness(service).body["reasons"]) == (503, ["group chat: lost"])
        lowlevel.finalize(stranger)
