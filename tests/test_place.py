"""Where things may be used: in their process, their thread and their loop, and nowhere else."""

from __future__ import annotations

import os
import signal

import pytest

from aiocpg import ConnectionClosedError, ForkedError, UsageError
from aiocpg._loop import current_port
from aiocpg._place import Place
from aiocpg.testing import ClusterNode
from support.handles import ended, finish, in_fork, python
from support.loops import Backend
from support.running import gone, in_thread, run_in

pytestmark = pytest.mark.anyio


async def test_place_is_this_loop_of_this_process(anyio_backend: Backend) -> None:
    """Not a thread without a loop, and not a loop in a thread."""
    place = Place(current_port())
    place.check()
    assert not place.is_in_child()
    with pytest.raises(UsageError, match="another thread or event loop"):
        await in_thread(place.check)

    async def elsewhere() -> None:
        place.check()

    with pytest.raises(UsageError):
        await in_thread(lambda: run_in(anyio_backend, elsewhere))


async def test_forked_child_is_another_place() -> None:
    """Also to a fork of it; the parent goes on."""
    place = Place(current_port())
    assert in_fork(lambda: place.is_in_child() and is_refused(place))
    assert in_fork(lambda: in_fork(lambda: is_refused(place)))
    assert not place.is_in_child()
    place.check()


def is_refused(place: Place) -> bool:
    """Whether it says that this is a fork."""
    try:
        place.check()
    except ForkedError:
        return True
    return False


async def test_connection_is_refused_in_another_thread_or_loop(node: ClusterNode, anyio_backend: Backend) -> None:
    """It does nothing there, not even close, and goes on here."""

    async def elsewhere() -> None:
        for use in (cpg.join("group"), cpg.members("group"), cpg.groups()):
            with pytest.raises(UsageError, match="another thread or event loop"):
                await use
        with pytest.raises(UsageError):
            await cpg.aclose()
        with pytest.raises(UsageError):
            cpg.rings()

    async with node.connect() as cpg:
        await in_thread(lambda: run_in(anyio_backend, elsewhere))
        assert await cpg.members("group") == ()
    with pytest.raises(ConnectionClosedError):
        await cpg.groups()


FORKING = """
import anyio, os, signal, sys
from aiocpg import ForkedError, connect

async def refused(*calls):
    for call in calls:
        try:
            result = call()
            if hasattr(result, "__await__"):
                await result
        except ForkedError:
            continue
        raise AssertionError("not refused")

async def in_child(cpg, group, stream):
    await refused(
        lambda: group.mcast(b"x"), lambda: group.mcast_many([b"x"]), lambda: group.mcast_confirmed(b"x"),
        group.events, stream.__anext__, lambda: cpg.join("other"), lambda: cpg.members("group"), cpg.groups, cpg.rings,
    )
    await group.leave()
    await cpg.aclose()

def step(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")

async def main():
    async with connect() as cpg, cpg.join("group") as group:
        stream = group.messages()
        await group.mcast_confirmed(b"before")
        pid = os.fork()
        if not pid:
            code = 1
            try:
                signal.alarm(20)
                step(in_child(cpg, group, stream))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        await group.mcast_confirmed(b"behind")
        assert [message.data for message in await stream.receive_batch()] == [b"before", b"behind"]
        assert await cpg.members("group") == (group.me,)

backend, _, uvloop = sys.argv[1].partition("+")
anyio.run(main, backend=backend, backend_options={"use_uvloop": True} if uvloop else {})
"""


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
def test_forked_child_is_refused_and_the_parent_goes_on(node: ClusterNode, loop: str) -> None:
    """Every use is a ForkedError there, closing does nothing, and the parent's membership does not notice."""
    finish(python(FORKING, loop, node=node))


LIVING_CHILD = """
import anyio, os, signal
from aiocpg import connect

async def main():
    cpg = await connect()
    await cpg.join("group")
    child = os.fork()
    if not child:
        signal.alarm(60)
        os.closerange(0, 3)
        signal.pause()
    print(child, flush=True)
    await anyio.sleep_forever()

anyio.run(main)
"""


async def test_member_goes_when_its_process_dies_though_a_fork_of_it_lives(node: ClusterNode) -> None:
    """The child has closed what it inherited, so the daemon sees the parent go."""
    async with node.connect() as cpg:
        with ended(python(LIVING_CHILD, node=node)) as process:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            assert [member.pid for member in await cpg.members("group")] == [process.pid]
        assert process.returncode == -signal.SIGKILL
        try:
            await gone(cpg, "group")
        finally:
            os.kill(child, signal.SIGKILL)  # would be an error if it had not lived
