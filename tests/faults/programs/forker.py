"""
A member that forks while its group is open and messages flow. Arguments: the loop (asyncio, trio), what the child does.

calls     it makes every call, closes everything, and says by its exit status whether each said "forked"
anew      it connects and joins again as a process of its own
lingers   it lives until its standard input ends; the parent says "forked" and waits
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel

import aiocpg

MESSAGES = 200


class Traffic:
    """A task that sends numbered messages, one that reads them, and what it read."""

    def __init__(self, group: aiocpg.Group) -> None:
        self._group = group
        self.read: list[int] = []
        self.views = 0

    async def send(self) -> None:
        """Send them."""
        for number in range(MESSAGES):
            await self._group.mcast_confirmed(b"%d" % number)

    async def receive(self) -> None:
        """Read them."""
        async for event in self._group:
            self.views += isinstance(event, aiocpg.View)
            if isinstance(event, aiocpg.Message):
                self.read.append(int(event.data))

    async def half_way(self) -> None:
        """Wait until half of them were read."""
        while len(self.read) < MESSAGES // 2:
            await anyio.lowlevel.checkpoint()


async def every_call(
    cpg: aiocpg.Connection, group: aiocpg.Group, stream: aiocpg.Stream[Any], quorum: aiocpg.QuorumWatch
) -> None:
    """Make every call of the child; closing and leaving must be quiet."""
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: group.mcast(b"never"),
        lambda: group.mcast(bytes(2_000_000), native=True),
        lambda: group.mcast_many([b"never"]),
        lambda: group.mcast_confirmed(b"never"),
        lambda: cpg.join(b"never"),
        lambda: cpg.members(b"forked"),
        cpg.groups,
        lambda: anext(stream),
        lambda: anext(aiter(group)),
        stream.receive_batch,
        cpg.quorum,
        lambda: anext(quorum),
        lambda: quorum.state,
    ]
    for call in calls:
        await must_be_refused(call)
    for make in (group.events, group.messages, group.changes, group.views, cpg.rings):
        await must_be_refused(make)
    await stream.aclose()
    await quorum.aclose()
    await group.leave()
    await cpg.aclose()
    gc.collect()


async def must_be_refused(call: Callable[[], Any]) -> None:
    """Make a call that has to say that its object belongs to the parent."""
    try:
        result = call()
        if hasattr(result, "__await__"):
            await result
    except aiocpg.ForkedError:
        return
    raise AssertionError(f"not refused: {call}")


async def anew() -> None:
    """Join as a process of our own, the parent being there."""
    async with aiocpg.connect() as cpg, cpg.join(b"forked") as group:
        assert group.me.pid == os.getpid()
        assert len(group.members) == 2
        await group.mcast_confirmed(b"-1")


def on_a_loop_of_its_own(backend: str) -> None:
    """Run :func:`anew` where no loop runs: in another thread."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            anyio.run(anew, backend=backend)
        except BaseException as error:  # noqa: BLE001 - told to the parent by the exit status
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]


async def be_the_child(backend: str, what: str, *objects: Any) -> None:
    """Do what the child is for, and end without a trace of the parent's loop."""
    status = 1
    try:
        if what == "calls":
            await every_call(*objects)
        elif what == "anew":
            on_a_loop_of_its_own(backend)
        else:
            os.read(0, 1)
        status = 0
    except BaseException:  # noqa: BLE001 - told to the parent by the exit status
        traceback.print_exc()
    finally:
        os._exit(status)


async def main(backend: str, what: str) -> None:
    """Fork in the middle of traffic, and see that it goes on to its end."""
    async with anyio.create_task_group() as tasks, aiocpg.connect() as cpg, cpg.join(b"forked") as group:
        quorum = await cpg.quorum()
        traffic = Traffic(group)
        stream = group.messages()
        tasks.start_soon(traffic.receive)
        tasks.start_soon(traffic.send)
        await traffic.half_way()
        child = os.fork()
        if child == 0:
            await be_the_child(backend, what, cpg, group, stream, quorum)
        if what == "lingers":
            print("forked", flush=True)
        _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
        expected_views = 3 if what == "anew" else 1
        await until_all_read(traffic, expected_views)
        mine = [number for number in traffic.read if number >= 0]
        ok = (
            quorum.state.is_quorate
            and status == 0
            and mine == list(range(MESSAGES))
            and traffic.views == expected_views
        )
        print("well" if ok else f"child {status}, read {traffic.read[-3:]}, views {traffic.views}", flush=True)


async def until_all_read(traffic: Traffic, views: int) -> None:
    """Wait until the last message was read, and so many views, of which the last may come behind it."""
    with anyio.fail_after(20):
        while MESSAGES - 1 not in traffic.read or traffic.views < views:
            await anyio.lowlevel.checkpoint()


anyio.run(main, *sys.argv[1:3], backend=sys.argv[1])
