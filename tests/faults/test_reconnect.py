"""A connection that comes back: the group stays, the gap shows in every stream, and nothing is pretended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from aiocpg import (
    AlreadyJoinedError,
    ConnectionLostError,
    DaemonResumed,
    DaemonStalled,
    Disconnected,
    EngineUnavailableError,
    Event,
    Group,
    GroupClosedError,
    Message,
    Reason,
    Reconnect,
    Stream,
    View,
)
from aiocpg.testing import ClusterNode, CorosyncCluster
from faults.watching import PATIENCE, Measured, until
from support.loops import BACKENDS

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

on_all_loops = pytest.mark.parametrize("anyio_backend", BACKENDS.values(), ids=BACKENDS.keys())

QUICK = Reconnect(first_pause=0.02, longest_pause=0.1)


async def die(node: ClusterNode, how: str = "kill") -> None:
    """Have the daemon end, and wait until it is gone."""
    if how == "stop and kill":
        node.stop()
    getattr(node, "kill" if how == "stop and kill" else how)()
    await anyio.to_thread.run_sync(node.wait_gone)


async def revive(node: ClusterNode) -> None:
    """Start the daemon, and wait until it lets clients in."""
    node.start()
    await anyio.to_thread.run_sync(node.wait_ready)


async def until_gap(stream: Stream[Message]) -> list[bytes]:
    """Read up to the gap, which is an error here, and return what was read."""
    seen = []
    with anyio.fail_after(PATIENCE), pytest.raises(ConnectionLostError):
        while True:
            seen.append((await anext(stream)).data)
    return seen


async def read_until(stream: Stream[Event], data: bytes) -> list[Event]:
    """Read everything up to this message."""
    events = []
    with anyio.fail_after(PATIENCE):
        async for event in stream:
            events.append(event)
            if isinstance(event, Message) and event.data == data:
                break
    return events


@on_all_loops
async def test_group_comes_back_as_a_newcomer_and_goes_on_counting(fresh_node: ClusterNode) -> None:
    """``events()`` says so: the gap, then a view with ourselves in ``joined``; positions and numbers go on."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        events = group.events()
        await group.mcast_confirmed(b"before")
        await die(fresh_node)
        await revive(fresh_node)
        await group.mcast(b"after")
        seen = [
            event for event in await read_until(events, b"after") if isinstance(event, (Disconnected, View, Message))
        ]
        first, before, gap, view, after = seen
        assert isinstance(first, View)
        assert isinstance(before, Message)
        assert isinstance(gap, Disconnected)
        assert isinstance(view, View)
        assert isinstance(after, Message)
        assert (dict(view.joined), dict(view.left), view.number, view.position) == ({group.me: Reason.JOIN}, {}, 2, 1)
        assert (before.position, after.position, after.view) == (1, 2, view)
        assert view.ring_id != first.ring_id


@on_all_loops
async def test_gap_is_an_error_once_in_streams_that_could_not_show_it(fresh_node: ClusterNode) -> None:
    """Messages, changes, views and rings raise where it is, and go on behind it."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        messages, changes, views, rings = group.messages(), group.changes(), group.views(), cpg.rings()
        await group.mcast_confirmed(b"before")
        for stream in (changes, views, rings):
            await anext(stream)
        await die(fresh_node)
        for stream in (changes, views, rings):
            with pytest.raises(ConnectionLostError):
                await anext(stream)
        assert await until_gap(messages) == [b"before"]
        await revive(fresh_node)
        with anyio.fail_after(PATIENCE):
            await group.mcast(b"after")
            assert (await anext(messages)).data == b"after"
            assert (await anext(changes)).joined[0].address == group.me
            assert group.me in (await anext(views)).joined
            assert (await anext(rings)).nodes == (1,)


async def test_gap_is_kept_for_who_reads_later(fresh_node: ClusterNode) -> None:
    """Nobody had read; the first readers begin at the join, and the gap stands in its place."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        await group.mcast_confirmed(b"before")
        await die(fresh_node)
        await until(lambda: not cpg.health.is_connected)
        await revive(fresh_node)
        with anyio.fail_after(PATIENCE):
            await group.mcast_confirmed(b"after")
        messages, events = group.messages(), group.events()
        assert await until_gap(messages) == [b"before"]
        assert (await anext(messages)).data == b"after"
        kinds = Counter(type(event) for event in await read_until(events, b"after"))
        assert (kinds[Disconnected], kinds[View], kinds[Message]) == (1, 2, 2)


@on_all_loops
async def test_calls_that_have_handed_nothing_over_wait(fresh_node: ClusterNode) -> None:
    """Sends, joins and questions asked while the daemon is away are answered by the next one."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        messages = group.messages()
        await die(fresh_node)
        await until(lambda: not cpg.health.is_connected)
        found: list[object] = []

        async def join_another() -> None:
            async with cpg.join("another") as another:
                found.append(another.me)

        async def ask() -> None:
            found.append(await cpg.members("nobody"))
            found.append(isinstance(await cpg.groups(), Mapping))  # of nobody, where all are still on their way

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(join_another)
                tasks.start_soon(ask)
                tasks.start_soon(group.mcast, b"one")
                tasks.start_soon(group.mcast_many, [b"two", b"three"])
                tasks.start_soon(group.mcast_confirmed, b"four")
                await revive(fresh_node)
        assert sorted(map(str, found)) == sorted(map(str, [group.me, (), True]))
        assert await until_gap(messages) == []
        seen = [(await anext(messages)).data for _ in range(4)]
        assert sorted(seen) == sorted([b"one", b"two", b"three", b"four"])
        assert seen.index(b"three") == seen.index(b"two") + 1


@on_all_loops
async def test_fate_of_what_was_out_at_the_loss_is_unknown(fresh_node: ClusterNode) -> None:
    """``mcast_confirmed`` says so, and ``mcast_many`` that had handed over a part does not go on with the rest."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        fresh_node.stop()

        async def confirmed() -> None:
            with pytest.raises(ConnectionLostError):
                await group.mcast_confirmed(b"out")

        async def many() -> None:
            with pytest.raises(ConnectionLostError):
                await group.mcast_many([bytes(100_000) for _ in range(100)])

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(confirmed)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(many)
                await until(lambda: cpg.health.stalled_for)
                await die(fresh_node)
        await revive(fresh_node)
        with anyio.fail_after(PATIENCE):
            await group.mcast_confirmed(b"in")
        assert [event.data async for event in up_to_end(group) if isinstance(event, Message)] == [b"in"]


async def up_to_end(group: Group) -> AsyncIterator[Event]:
    """Leave, and read what there was."""
    events = group.events()
    await group.leave()
    async for event in events:
        yield event


async def test_who_leaves_while_away_is_done_at_once(fresh_node: ClusterNode) -> None:
    """There is nothing to leave; readers get the gap and then the end, waiting senders the close."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        messages = group.messages()
        await die(fresh_node)
        await until(lambda: not cpg.health.is_connected)

        async def send() -> None:
            with pytest.raises(GroupClosedError):
                await group.mcast(b"x")

        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(send)
                await anyio.wait_all_tasks_blocked()
                await group.leave()
        assert await until_gap(messages) == []
        assert await messages.receive_batch() == []


async def test_who_is_leaving_at_the_loss_is_done_with_it(fresh_node: ClusterNode) -> None:
    """It wants no way back."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        views = group.views()
        await anext(views)
        fresh_node.stop()
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(group.leave)
                await until(lambda: cpg.health.stalled_for)
                await die(fresh_node)
        with pytest.raises(ConnectionLostError):
            await anext(views)
        assert await views.receive_batch() == []


@on_all_loops
@pytest.mark.parametrize("tries", [0, 3])
async def test_connection_can_be_closed_while_away(fresh_node: ClusterNode, tries: int) -> None:
    """At once, and however far the way back; readers end, and nothing goes on in the background."""
    with anyio.fail_after(PATIENCE):
        async with fresh_node.connect(reconnect=QUICK) as cpg:
            group = await cpg.join("group")
            messages = group.messages()
            await die(fresh_node)
            await until(lambda: not cpg.health.is_connected)
            await until(lambda: cpg.health.away_for > tries * QUICK.longest_pause)
            assert repr(cpg) == "<Connection node 1 away>"
        assert await until_gap(messages) == []
        assert await messages.receive_batch() == []


async def test_shared_memory_that_is_full_for_a_while_does_not_end_it(fresh_node: ClusterNode) -> None:
    """At a restart it holds what the old daemon's clients have not given back yet, besides what the new one's take."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        await die(fresh_node)
        fresh_node.fill_shm()
        fresh_node.start()
        await until(lambda: cpg.health.away_for > 1)
        fresh_node.free_shm()
        with anyio.fail_after(PATIENCE):
            await group.mcast_confirmed(b"back")


async def test_nobody_takes_the_place_of_who_comes_back(fresh_node: ClusterNode) -> None:
    """Another join of the group is refused while it is away, too."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        await die(fresh_node)
        await until(lambda: not cpg.health.is_connected)
        with pytest.raises(AlreadyJoinedError), anyio.fail_after(PATIENCE):
            await cpg.join("group")
        await revive(fresh_node)
        with anyio.fail_after(PATIENCE):
            await group.mcast_confirmed(b"back")


async def test_patience_that_is_over_ends_everything_with_another_error(fresh_node: ClusterNode) -> None:
    """So a reader that goes on behind gaps does not go round for ever."""
    async with fresh_node.connect(reconnect=Reconnect(0.01, 0.05, give_up_after=0.3)) as cpg:
        group = await cpg.join("group")
        messages = group.messages()
        await die(fresh_node)
        assert await until_gap(messages) == []
        with anyio.fail_after(PATIENCE), pytest.raises(EngineUnavailableError, match=r"within 0\.3 s"):
            await anext(messages)
        for call in (group.mcast(b"x"), cpg.members("group")):
            with pytest.raises(EngineUnavailableError):
                await call
        with pytest.raises(EngineUnavailableError):
            await cpg.join("another")
        assert not cpg.health.is_connected


async def test_daemon_that_does_not_answer_a_send_is_told_of(fresh_node: ClusterNode) -> None:
    """Without being asked for: something is pending. An idle program would not notice, and need not."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        group = await cpg.join("group")
        events = group.events()
        fresh_node.stop()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(group.mcast_confirmed, b"x")
            await until(lambda: cpg.health.stalled_for)
            assert not cpg.health.is_ready
            fresh_node.cont()
        assert await kinds_up_to_resumed(events) == [View, DaemonStalled, DaemonResumed]
        assert cpg.health.is_ready


@on_all_loops
async def test_daemon_that_does_not_answer_is_told_of_always_when_asked_for(fresh_node: ClusterNode) -> None:
    """``stall_after`` watches an idle connection too, with or without a way back."""
    async with fresh_node.connect(stall_after=0.2) as cpg, cpg.join("group") as group:
        events = group.events()
        fresh_node.stop()
        await until(lambda: cpg.health.stalled_for > 0.3)
        fresh_node.cont()
        assert await kinds_up_to_resumed(events) == [View, DaemonStalled, DaemonResumed]


async def kinds_up_to_resumed(events: Stream[Event]) -> list[type]:
    """Read until the daemon answers again; leave out what it brings besides."""
    kinds: list[type] = []
    with anyio.fail_after(PATIENCE):
        async for event in events:
            if isinstance(event, (View, DaemonStalled, DaemonResumed)):
                kinds.append(type(event))
            if isinstance(event, DaemonResumed):
                break
    return kinds


async def test_others_see_the_member_go_and_come(fresh_cluster: CorosyncCluster) -> None:
    """With the same address and a new history; it is in ``joined`` again, for them and for itself."""
    async with fresh_cluster.node(1).connect() as ours, fresh_cluster.node(3).connect(reconnect=QUICK) as theirs:
        watcher, member = await ours.join("group"), await theirs.join("group")
        views = watcher.views()
        await until(lambda: member.me in watcher.members)
        await die(fresh_cluster.node(3))
        fresh_cluster.node(3).start()
        with anyio.fail_after(PATIENCE):
            while member.me not in (view := await anext(views)).left:
                pass
            # PROCDOWN where its daemon is back before the others have agreed on a ring without it.
            assert view.left[member.me] in {Reason.NODEDOWN, Reason.PROCDOWN}
            while (await anext(views)).joined != {member.me: Reason.JOIN}:
                pass
            await member.mcast_confirmed(b"again")
        assert set(member.members) == set(watcher.members) == {watcher.me, member.me}


@on_all_loops
@pytest.mark.slow
async def test_member_is_back_after_each_of_ten_restarts_under_load(
    fresh_node: ClusterNode, measured: Measured
) -> None:
    """Each gap is told once in each stream, nothing comes twice or out of order, and nothing is left behind."""
    async with fresh_node.connect(reconnect=QUICK) as cpg:
        restarts = 10
        group = await cpg.join("group")
        events, messages = group.events(), group.messages()
        sent, told, gaps, back_after = [0], Counter[type](), [0], [0.0]
        numbers: list[int] = []

        async def send() -> None:
            while True:
                try:
                    await group.mcast(b"%d" % sent[0])
                except ConnectionLostError:
                    continue
                finally:
                    sent[0] += 1
                await anyio.lowlevel.checkpoint()

        async def count() -> None:
            async for event in events:
                told[type(event)] += 1

        async def read() -> None:
            while True:
                try:
                    async for message in messages:
                        numbers.append(int(message.data))
                except ConnectionLostError:
                    gaps[0] += 1

        async with anyio.create_task_group() as tasks:
            for job in (send, count, read):
                tasks.start_soon(job)
            for number in range(restarts):
                goal = len(numbers) + 500
                await until(lambda goal=goal: len(numbers) > goal)
                await die(fresh_node, ("kill", "terminate", "stop and kill")[number % 3])
                await until(lambda: not cpg.health.is_connected)
                await revive(fresh_node)
                began = time.monotonic()
                await until(lambda number=number: cpg.health.reconnects == number + 1 and cpg.health.ring)
                back_after.append(time.monotonic() - began)
            goal = len(numbers) + 500
            await until(lambda: len(numbers) > goal)
            tasks.cancel_scope.cancel()
        measured("messages sent", sent[0], "")
        measured("messages back", len(numbers), "")
        measured("back after the daemon let clients in, at most", 1000 * max(back_after), "ms")
        assert (told[Disconnected], gaps[0], told[View]) == (restarts, restarts, restarts + 1)
        assert numbers == sorted(set(numbers))
        assert cpg.health.reconnects == restarts
