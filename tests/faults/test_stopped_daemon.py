"""A daemon that is stopped holds up no loop: it runs on, each call can be given up, nothing is lost or doubled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from aiocpg import Connection, EngineUnavailableError, Group, Message
from aiocpg.testing import ClusterNode
from faults.watching import PATIENCE, Measured, Ticker, ticking, until
from support.loops import BACKENDS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

PAUSE = 150
"""Ticks that a daemon is stopped for."""

on_all_loops = pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())


class Senders:
    """Tasks that send numbered messages until told to stop, and what of it was accepted."""

    def __init__(self, group: Group, how_many: int) -> None:
        self._group = group
        self._stopping = False
        self.accepted: dict[int, list[bytes]] = {number: [] for number in range(how_many)}

    def start(self, tasks: anyio.abc.TaskGroup) -> None:
        """Start sending."""
        for number in self.accepted:
            tasks.start_soon(self._send, number)

    async def _send(self, number: int) -> None:
        accepted = self.accepted[number]
        while not self._stopping:
            data = b"%d:%d:" % (number, len(accepted)) + bytes(1000)
            await self._group.mcast(data)
            accepted.append(data)

    async def progress(self, messages: int) -> None:
        """Wait until each has sent so many more."""
        goals = {number: len(sent) + messages for number, sent in self.accepted.items()}
        await until(lambda: all(len(self.accepted[number]) >= goal for number, goal in goals.items()))

    def stop(self) -> None:
        """Let each finish the message at hand."""
        self._stopping = True


async def received(group: Group) -> list[bytes]:
    """Leave the group and return all messages that came."""
    messages = group.messages()
    await group.leave()
    return [message.data async for message in messages]


def of_senders(data: list[bytes], senders: Senders) -> dict[int, list[bytes]]:
    """Return the numbered messages by sender, in the order they came."""
    return {number: [one for one in data if one.startswith(b"%d:" % number)] for number in senders.accepted}


async def given_up(call: Callable[[], Awaitable[Any]]) -> None:
    """Make a call that must not return by itself, and give it up."""
    with pytest.raises(TimeoutError), anyio.fail_after(0.1):
        await call()


@on_all_loops
async def test_loop_runs_on_and_nothing_is_lost_while_the_daemon_is_stopped(
    fresh_node: ClusterNode, measured: Measured
) -> None:
    """Eight senders and a join wait, the ticker does not; afterwards all that was accepted arrives once, in order."""
    async with fresh_node.connect() as cpg, ticking() as ticker, anyio.create_task_group() as tasks:
        group = await cpg.join(b"busy")
        senders = Senders(group, 8)
        senders.start(tasks)
        await senders.progress(20)
        fresh_node.stop()
        tasks.start_soon(join_and_leave, cpg)
        await stand_still(ticker, measured)
        fresh_node.cont()
        await senders.progress(20)
        senders.stop()
        assert of_senders(await received(group), senders) == senders.accepted


async def join_and_leave(cpg: Connection) -> None:
    """Join another group and send in it."""
    async with cpg.join(b"late") as group:
        await group.mcast_confirmed(b"here")


async def stand_still(ticker: Ticker, measured: Measured) -> None:
    """Let the pause go by, and look at the loop and the processor meanwhile."""
    ticker.begin()
    await ticker.advance(PAUSE)
    measured("worst gap of the loop", ticker.worst * 1000, "ms")
    measured("share of a core used in the pause", ticker.load * 100, "%")
    assert ticker.load < 0.25


@on_all_loops
async def test_every_call_can_be_given_up_while_the_daemon_is_stopped(fresh_node: ClusterNode) -> None:
    """Each call that needs the daemon ends with its timeout; those that had sent nothing have sent nothing."""
    async with fresh_node.connect() as cpg, anyio.create_task_group() as tasks:
        group, other = await cpg.join(b"busy"), await cpg.join(b"other")
        senders = Senders(group, 2)
        fresh_node.stop()
        senders.start(tasks)
        await window_is_full(group)
        for call in calls_of(fresh_node, cpg, group, other):
            await given_up(call)
        fresh_node.cont()
        await senders.progress(100)
        senders.stop()
        data = await received(group)
        assert of_senders(data, senders) == senders.accepted
        assert b"given up" not in data


async def window_is_full(group: Group) -> None:
    """Wait until the group takes no more messages."""
    with anyio.fail_after(PATIENCE):
        while True:
            async with ticking() as ticker, anyio.create_task_group() as sending:
                sent = anyio.Event()
                sending.start_soon(send_and_tell, group, sent)
                # So many turns of the loop, and not so many seconds: those may go by while nobody runs.
                await until(lambda ticker=ticker, sent=sent: sent.is_set() or ticker.ticks >= 20)
                sending.cancel_scope.cancel()
            if not sent.is_set():
                return


async def send_and_tell(group: Group, sent: anyio.Event) -> None:
    """Send one message more."""
    await group.mcast(b"filler")
    sent.set()


def calls_of(node: ClusterNode, cpg: Connection, group: Group, other: Group) -> list[Callable[[], Awaitable[Any]]]:
    """Return every call that has to wait for the daemon."""

    async def join() -> None:
        await cpg.join(b"third")

    async def connect() -> None:
        await node.connect(connect_timeout=None)

    return [
        lambda: group.mcast(b"given up"),
        lambda: group.mcast_many([b"given up"] * 10),
        lambda: group.mcast_confirmed(b"given up"),
        lambda: group.mcast(bytes(2_000_000), native=True),
        lambda: cpg.members(b"busy"),
        cpg.groups,
        join,
        connect,
        lambda: other.mcast_confirmed(b"taken, not back"),
        other.leave,
    ]


async def test_connect_says_so_when_the_daemon_does_not_answer(fresh_node: ClusterNode) -> None:
    """The bound of ``connect`` itself ends it with an error that trying again may mend."""
    fresh_node.stop()
    with pytest.raises(EngineUnavailableError, match=r"within 0\.2 s") as caught:
        await fresh_node.connect(connect_timeout=0.2)
    assert caught.value.transient
    fresh_node.cont()
    async with fresh_node.connect() as cpg:
        assert cpg.nodeid == 1


async def test_leaving_takes_no_longer_than_its_bound_while_the_daemon_is_stopped(fresh_node: ClusterNode) -> None:
    """``async with`` ends although nobody answers; the member is gone for the others once the daemon goes on."""
    with anyio.fail_after(PATIENCE):
        async with fresh_node.connect(close_timeout=0.2) as cpg, cpg.join(b"left"):
            fresh_node.stop()
    fresh_node.cont()
    async with fresh_node.connect() as cpg, cpg.join(b"left") as group:
        assert group.members == (group.me,)


async def test_messages_taken_before_a_pause_arrive_after_it_when_their_caller_gave_up(fresh_node: ClusterNode) -> None:
    """Cancelling ``mcast_confirmed`` after the message was taken gives up the receipt alone."""
    async with fresh_node.connect() as cpg, cpg.join(b"given-up") as group:
        messages = group.messages()
        fresh_node.stop()
        await given_up(lambda: group.mcast_confirmed(b"taken"))
        fresh_node.cont()
        receipt = await group.mcast_confirmed(b"next")
        came: list[Message] = [await anext(messages), await anext(messages)]
        assert [message.data for message in came] == [b"taken", b"next"]
        assert receipt.position == 2
