"""Everything that a program can have going on at a daemon, the ways in which that dies, and what must be seen then."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import anyio
import pytest

from aiocpg import Connection, ConnectionLostError, Group
from aiocpg.testing import ClusterNode
from faults.watching import PATIENCE, Measured, Waiters, read_on, repeat, ticking, until

Calls: TypeAlias = Mapping[str, Callable[[], Awaitable[Any]]]
"""Tasks by name."""

Deadly: TypeAlias = Callable[[ClusterNode], None]


def stop_and_kill(node: ClusterNode) -> None:
    """Have the daemon hang before it dies."""
    node.stop()
    node.kill()


DEATHS = {"killed": ClusterNode.kill, "terminated": ClusterNode.terminate, "stopped-and-killed": stop_and_kill}


def iterators(cpg: Connection, group: Group) -> Calls:
    """Return a task for each kind of iterator."""
    streams = {"events": group.events(), "messages": group.messages(), "changes": group.changes()}
    more = {"views": group.views(), "rings": cpg.rings(), "the group": aiter(group)}
    return {name: lambda stream=stream: read_on(stream) for name, stream in (streams | more).items()} | {
        "quorum": lambda: read_quorum(cpg)
    }


async def read_quorum(cpg: Connection) -> None:
    """Watch the quorum to its end."""
    async with cpg.quorum() as quorum:
        await read_on(quorum)


def busy_calls(cpg: Connection, group: Group) -> Calls:
    """Return tasks that make each kind of call all the time."""

    async def join_and_leave() -> None:
        async with cpg.join(b"comes-and-goes"):
            pass

    return {
        "mcast": lambda: repeat(lambda: group.mcast(bytes(1000))),
        "mcast_many": lambda: repeat(lambda: group.mcast_many([bytes(100)] * 100)),
        "mcast_confirmed": lambda: repeat(lambda: group.mcast_confirmed(b"x")),
        "members": lambda: repeat(lambda: cpg.members(b"busy")),
        "join and leave": lambda: repeat(join_and_leave),
    }


async def all_lost(waiters: Waiters, died: float, measured: Measured, *, returned: int = 0) -> None:
    """Wait for the end of every call; each must be the loss of the connection, but for ``returned`` of them."""
    ends = {name: end for name, end in (await waiters.all_ended()).items() if end[0] is not None}
    assert len(waiters.ends) - len(ends) == returned
    others = {name: end for name, (end, _) in ends.items() if not isinstance(end, ConnectionLostError)}
    assert not others
    last = max(ends, key=lambda name: ends[name][1])
    measured(f"until the last call ended ({last})", (ends[last][1] - died) * 1000, "ms")


async def no_core_is_burnt(measured: Measured) -> None:
    """Look at the processor while nothing is to be done: what was lost has been given back, by threads that end."""
    await until(lambda: not any(thread.name == "aiocpg-finalize" for thread in threading.enumerate()))
    async with ticking() as ticker:
        await ticker.advance(50)
        measured("share of a core used afterwards", ticker.load * 100, "%")
        assert ticker.load < 0.25


async def everything_raises(cpg: Connection, group: Group) -> None:
    """Make every call; it must say that the connection is lost. Leaving and closing is quiet."""
    calls = {"mcast": lambda: group.mcast(b""), "mcast_many": lambda: group.mcast_many([b""])}
    calls |= {"mcast_confirmed": lambda: group.mcast_confirmed(b""), "members": lambda: cpg.members(b"busy")}
    calls |= {"groups": cpg.groups, "quorum": cpg.quorum, "read": lambda: anext(group.events())}
    for call in calls.values():
        with pytest.raises(ConnectionLostError):
            await call()
    with pytest.raises(ConnectionLostError):
        await cpg.join(b"busy")
    with pytest.raises(ConnectionLostError):
        cpg.rings()
    await group.leave()
    await cpg.aclose()


async def going_well(group: Group) -> None:
    """Wait until traffic has flowed for a while."""
    messages = group.messages()
    with anyio.fail_after(PATIENCE):
        for _ in range(1000):
            await anext(messages)
    await messages.aclose()
