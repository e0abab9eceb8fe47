"""What ``docs/howto/upgrade-corosync.md`` promises of a restart of one daemon after the other."""

from __future__ import annotations

import contextlib

import anyio
import anyio.to_thread
import pytest

from aiocpg import Disconnected, Event, Group, Message, Reason, Reconnect, Stream, View
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.loops import BACKENDS

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"]], ids=["asyncio"], scope="function"),
]

PATIENCE = 30
QUICK = Reconnect(first_pause=0.02, longest_pause=0.1)


class Service:
    """A member that reads all there is."""

    def __init__(self, group: Group) -> None:
        self.group = group
        self.stream: Stream[Event] = group.events()
        self.events: list[Event] = []

    async def until(self, wanted: type[Event], **attributes: object) -> list[Event]:
        """Read up to an event with these attributes, and return what was read."""
        begin = len(self.events)
        with anyio.fail_after(PATIENCE):
            async for event in self.stream:
                self.events.append(event)
                if isinstance(event, wanted) and all(getattr(event, k) == v for k, v in attributes.items()):
                    break
        return self.events[begin:]


async def upgrade(node: ClusterNode) -> None:
    """Stop the daemon in order and start it again, as a package does."""
    node.terminate()
    await node.until_gone()
    node.start()
    await node.until_ready()


async def test_rolling_restart_costs_those_that_stay_nothing(patient_cluster: CorosyncCluster) -> None:
    """Each node in turn: it comes back as a newcomer, and the other two have every message of one another."""
    async with contextlib.AsyncExitStack() as stack:
        services = {}
        for node in patient_cluster.nodes:
            cpg = await stack.enter_async_context(node.connect(reconnect=QUICK))
            services[node.nodeid] = Service(await stack.enter_async_context(cpg.join("orders")))
        everybody = tuple(service.group.me for service in services.values())
        for node in patient_cluster.nodes:
            away = services[node.nodeid]
            sender, reader = (service for nodeid, service in services.items() if nodeid != node.nodeid)
            numbers = [f"{node.nodeid}.{number}".encode() for number in range(50)]
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(upgrade, node)
                for number in numbers:
                    await sender.group.mcast_confirmed(number)

            gone = await away.until(Disconnected)
            assert isinstance(gone[-1], Disconnected)
            # The daemon may be alone on a ring at first, and meet the others on the next.
            views = [event for event in await away.until(View, members=everybody) if isinstance(event, View)]
            assert away.group.me in views[0].joined
            assert len(views) == 1 or views[0].members == (away.group.me,)

            await sender.group.mcast(b"end of round")
            seen = await reader.until(Message, data=b"end of round")
            assert [event.data for event in seen if isinstance(event, Message) and event.data in numbers] == numbers
            changes = [event for event in seen if isinstance(event, View)]
            me = away.group.me
            assert [view.left[me] for view in changes if me in view.left] == [Reason.PROCDOWN]
            assert [view.joined[me] for view in changes if me in view.joined] in ([Reason.JOIN], [Reason.NODEUP])
            for service in (sender, away):
                await service.until(Message, data=b"end of round")
