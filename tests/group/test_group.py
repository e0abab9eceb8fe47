"""A group as people hold it: where iterators begin, what is in them, what can be sent, and where it may be used."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import anyio
import pytest

from aiocpg import (
    BusyError,
    ConfigurationChange,
    Connection,
    Event,
    Group,
    MemberChange,
    Message,
    MessageTooBigError,
    Reason,
    RingChange,
    SlowConsumerError,
    Stream,
    UsageError,
    View,
    connect,
)
from aiocpg._state.inbox import EVENT_OVERHEAD, MAX_BUFFERED_BYTES
from aiocpg._state.sends import WINDOW
from aiocpg.testing import ClusterNode, CorosyncCluster, MemoryCluster
from support.loops import Backend
from support.running import PATIENCE, Ticker, in_thread, run_in, turns, until

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed


@pytest.fixture
async def cpg(node: ClusterNode) -> AsyncIterator[Connection]:
    """A connection to the session's node."""
    async with node.connect() as cpg:
        yield cpg


@pytest.fixture
async def group(cpg: Connection) -> AsyncIterator[Group]:
    """A group whose only member we are, and that nobody has read."""
    async with cpg.join("group") as group:
        yield group


@pytest.fixture
async def pair(cluster: CorosyncCluster) -> AsyncIterator[tuple[Group, Group]]:
    """One group, two members, on two nodes; both have seen both come."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(cluster.node(1).connect())
        second = await stack.enter_async_context(cluster.node(2).connect())
        one = await stack.enter_async_context(first.join("pair"))
        two = await stack.enter_async_context(second.join("pair"))
        await until(lambda: len(one.members) == 2)
        yield one, two


async def take(stream: Stream[Message], count: int) -> list[bytes]:
    """Read so many messages."""
    return [(await anext(stream)).data for _ in range(count)]


# -- What it says of itself


async def test_group_is_in_its_first_view_when_join_returns(group: Group) -> None:
    """Name, address, members and view are there, and fit each other."""
    assert group.name == b"group"
    assert group.members == (group.me,)
    assert group.view.members == (group.me,)
    assert dict(group.view.joined) == {group.me: Reason.JOIN}
    assert group.max_message_size == 1_047_552
    assert "member" in repr(group)
    assert repr(group.views()) == f"<Stream views() of group {group.name!r}>"


async def test_members_are_sorted_and_the_newest_that_arrived(pair: tuple[Group, Group]) -> None:
    """Both sides agree; status pages need no reader."""
    one, two = pair
    assert one.members == two.members == (one.me, two.me)
    assert one.view.members == two.view.members
    assert one.view.ring_id == two.view.ring_id
    await two.leave()
    await until(lambda: one.members == (one.me,))
    assert dict(one.view.left) == {two.me: Reason.LEAVE}


# -- Where an iterator begins


async def test_first_events_are_the_own_join(group: Group) -> None:
    """The change that lists us, the ring, and the view of both."""
    change, ring, view, message = await _events(group, [b"hello"])
    assert change == ConfigurationChange(b"group", (group.me,), (MemberChange(group.me, Reason.JOIN),), ())
    assert isinstance(ring, RingChange)
    assert view == View(b"group", (group.me,), {group.me: Reason.JOIN}, {}, ring.ring_id, 1, 0)
    assert message == Message(b"group", group.me, b"hello", 1, view)


async def _events(group: Group, messages: list[bytes]) -> list[Event]:
    await group.mcast_many(messages)
    events: list[Event] = []
    async for event in group:
        events.append(event)
        if isinstance(event, Message) and event.position == len(messages):
            break
    return events


async def test_iterators_begin_at_the_join_until_somebody_has_read(group: Group) -> None:
    """Nothing that came between ``join`` and ``events()`` is missing, in any of them."""
    await group.mcast_confirmed(b"early")
    events, messages, changes, views = group.events(), group.messages(), group.changes(), group.views()
    assert [type(event) for event in await events.receive_batch()] == [ConfigurationChange, RingChange, View, Message]
    assert await take(messages, 1) == [b"early"]
    assert [change.joined[0].address for change in await changes.receive_batch()] == [group.me]
    assert [view.number for view in await views.receive_batch()] == [1]


async def test_iterators_begin_with_the_membership_in_force_when_somebody_has_read(group: Group) -> None:
    """Without anybody who came or went; messages begin with the next one."""
    await group.mcast_confirmed(b"early")
    await group.messages().receive_batch()
    events, messages, changes, views = group.events(), group.messages(), group.changes(), group.views()
    await group.mcast_confirmed(b"late")
    change, view, message = await events.receive_batch()
    assert change == ConfigurationChange(b"group", (group.me,), (), ())
    assert isinstance(view, View)
    assert (view.members, dict(view.joined), dict(view.left)) == ((group.me,), {}, {})
    assert (view.number, view.ring_id) == (1, group.view.ring_id)
    assert isinstance(message, Message)
    assert message.data == b"late"
    assert await take(messages, 1) == [b"late"]
    assert await changes.receive_batch() == [change]
    assert await views.receive_batch() == [view]


async def test_iterator_begins_where_it_is_made_and_not_where_it_is_first_read(group: Group) -> None:
    """A task may make it, send, and only then read the answer."""
    await group.messages().aclose()
    await group.mcast_confirmed(b"first")
    assert await take(group.messages(), 1) == [b"first"]
    stream = group.messages()
    await group.mcast_confirmed(b"second")
    assert await take(stream, 1) == [b"second"]


async def test_iterators_are_independent(group: Group) -> None:
    """Each has all messages, whoever reads how fast."""
    one, two = group.messages(), group.messages()
    await group.mcast_many([b"a", b"b"])
    assert await take(one, 2) == [b"a", b"b"]
    await group.mcast(b"c")
    assert await take(one, 1) == [b"c"]
    assert await take(two, 3) == [b"a", b"b", b"c"]


async def test_iterating_over_the_group_resumes_after_a_break(group: Group) -> None:
    """The group keeps one iterator for it."""
    await group.mcast_many([b"a", b"b", b"c"])
    got: list[bytes] = []
    for _ in range(3):
        async for event in group:
            if isinstance(event, Message):
                got.append(event.data)
                break
    assert got == [b"a", b"b", b"c"]


async def test_closed_iterator_ends_and_the_others_go_on(group: Group) -> None:
    """``async with`` closes it too."""
    other = group.messages()
    async with group.messages() as stream:
        await group.mcast_confirmed(b"a")
    assert [message async for message in stream] == []
    assert await take(other, 1) == [b"a"]


# -- How much it holds


async def test_reader_over_its_budget_is_told_and_goes_on_with_the_membership(group: Group) -> None:
    """The group and its other readers notice nothing."""
    slow, fast = group.events(max_buffered_bytes=4 * EVENT_OVERHEAD + 10), group.messages()
    await group.mcast_many([b"%d" % n for n in range(10)])
    assert await take(fast, 10) == [b"%d" % n for n in range(10)]
    assert [type(event) for event in await slow.receive_batch()] == [ConfigurationChange, RingChange, View, Message]
    with pytest.raises(SlowConsumerError) as caught:
        await anext(slow)
    assert (caught.value.lost, caught.value.limit) == (9, 4 * EVENT_OVERHEAD + 10)
    await group.mcast_confirmed(b"again")
    change, view, message = await slow.receive_batch()
    assert isinstance(change, ConfigurationChange)
    assert isinstance(view, View)
    assert isinstance(message, Message)
    assert (message.data, message.position) == (b"again", 11)


async def test_iterators_have_the_budget_of_join_unless_told(cpg: Connection) -> None:
    """``join(max_buffered_bytes=...)`` is for the backlog and for each iterator."""
    async with cpg.join("budget", max_buffered_bytes=8 * EVENT_OVERHEAD) as group:
        stream, large = group.messages(), group.messages(max_buffered_bytes=MAX_BUFFERED_BYTES)
        await group.mcast_many([b""] * 20)
        assert len(await take(large, 20)) == 20
        assert len(await take(stream, 8)) == 8
        with pytest.raises(SlowConsumerError) as caught:
            await anext(stream)
        assert (caught.value.lost, caught.value.limit) == (12, 8 * EVENT_OVERHEAD)


async def test_member_that_only_sends_keeps_nothing(cpg: Connection) -> None:
    """With a backlog of 0 the first iterator is told so, once, and has the usual budget."""
    async with cpg.join("sender", max_buffered_bytes=0) as group:
        await group.mcast_confirmed(b"a")
        events, messages = group.events(), group.messages()
        for stream, lost in ((events, 4), (messages, 1)):
            with pytest.raises(SlowConsumerError) as caught:
                await anext(stream)
            assert (caught.value.lost, caught.value.limit) == (lost, 0)
        await group.mcast(b"b")
        assert await take(messages, 1) == [b"b"]
        assert [type(event) for event in await events.receive_batch()][:2] == [ConfigurationChange, View]


# -- Reading


async def test_second_task_on_one_iterator_is_refused(group: Group) -> None:
    """The error says which iterator."""
    stream = group.messages()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anext, stream)
        await turns()
        with pytest.raises(BusyError, match=r"messages\(\) of group b'group'"):
            await anext(stream)
        await group.mcast(b"for the first")


async def test_reading_a_full_buffer_lets_other_tasks_run(group: Group) -> None:
    """``async for`` over what is there never waits, and still yields."""
    await group.mcast_many([b""] * 20_000)
    await group.mcast_confirmed(b"end")
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        await turns()
        before = ticker.count
        assert len(await take(group.messages(), 20_001)) == 20_001
        assert ticker.count - before >= 3
        tasks.cancel_scope.cancel()


# -- Sending


@pytest.mark.parametrize(
    ("buffers", "data"),
    [
        ((b"bytes",), b"bytes"),
        ((bytearray(b"bytearray"),), b"bytearray"),
        ((memoryview(b"memoryview"),), b"memoryview"),
        ((memoryview(array("H", [1, 2, 3]))[::2],), array("H", [1, 3]).tobytes()),
        ((b"a", bytearray(b"b"), memoryview(b"c")), b"abc"),
        ((b"x",) * 100, b"x" * 100),
        ((b"",), b""),
        ((), b""),
    ],
)
async def test_every_buffer_arrives_as_one_message(group: Group, buffers: tuple[bytes, ...], data: bytes) -> None:
    """Pieces are joined; more of them than an iovec has are no matter."""
    stream = group.messages()
    await group.mcast(*buffers)
    assert await take(stream, 1) == [data]


async def test_largest_message_arrives_and_a_larger_one_is_refused(group: Group) -> None:
    """The limit is libcpg's; the refused one was not sent."""
    stream = group.messages()
    most = bytes(group.max_message_size)
    with pytest.raises(MessageTooBigError) as caught:
        await group.mcast(most, b"x")
    assert (caught.value.size, caught.value.limit) == (1_047_553, 1_047_552)
    with pytest.raises(MessageTooBigError):
        await group.mcast_confirmed(most + b"x")
    await group.mcast(most)
    assert await take(stream, 1) == [most]


@pytest.mark.parametrize("wrong", ["text", 5, None, [b"list"]])
async def test_what_is_not_of_bytes_is_refused(group: Group, wrong: object) -> None:
    """By all three ways of sending."""
    with pytest.raises(TypeError):
        await group.mcast(wrong)  # type: ignore[arg-type] # that is what is tested
    with pytest.raises(TypeError):
        await group.mcast_confirmed(wrong)  # type: ignore[arg-type] # likewise
    with pytest.raises(TypeError):
        await group.mcast_many([b"fine", wrong])  # type: ignore[list-item] # likewise
    assert (await group.mcast_confirmed(b"first")).position == 1


async def test_many_messages_arrive_in_order(group: Group) -> None:
    """More than fit the window at once, of all sizes."""
    messages = [b"%d " % n * (n % 700) for n in range(1500)]
    stream = group.messages()
    await group.mcast_many(messages)
    assert await take(stream, len(messages)) == messages


async def test_many_sends_nothing_when_one_is_too_big(group: Group) -> None:
    """All sizes are looked at first."""
    with pytest.raises(MessageTooBigError) as caught:
        await group.mcast_many([b"a", b"b", bytes(group.max_message_size + 1)])
    assert caught.value.index == 2
    await group.mcast_many([])
    assert (await group.mcast_confirmed(b"first")).position == 1


async def test_message_goes_without_waiting_as_long_as_there_is_room(group: Group) -> None:
    """What was taken comes back, in order and between the calls; what was not was not sent."""
    messages = group.messages()
    size = 8 * 1024
    await group.mcast(b"first")
    sent = 0
    while group.mcast_nowait(b"%d" % sent, bytes(size)):
        sent += 1
    assert 10 < sent <= WINDOW // size
    await group.mcast(b"last")
    data = [message.data for message in await up_to(messages, b"last")]
    assert data == [b"first", *(b"%d" % number + bytes(size) for number in range(sent)), b"last"]
    assert group.mcast_nowait(b"room again")


async def test_message_that_need_not_wait_does_not_overtake_one_that_does() -> None:
    """The other is first in the row."""
    with MemoryCluster() as cluster:
        async with connect(cluster.node(1).url) as cpg, cpg.join("group") as group:
            messages = group.messages()
            cluster.node(1).congest()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(group.mcast, b"waits")
                await turns()
                cluster.node(1).relieve()
                assert not group.mcast_nowait(b"small")
            assert group.mcast_nowait(b"behind")
            assert [message.data for message in await up_to(messages, b"behind")] == [b"waits", b"behind"]


async def up_to(messages: Stream[Message], last: bytes) -> list[Message]:
    """Read up to and with the message of these bytes."""
    found: list[Message] = []
    with anyio.fail_after(PATIENCE):
        async for message in messages:
            found.append(message)
            if message.data == last:
                return found
    raise AssertionError(f"the stream ended after {len(found)} messages")


async def test_receipt_says_where_the_message_stands(group: Group) -> None:
    """Its position and view are those of the delivery."""
    stream = group.messages()
    await group.mcast(b"a")
    receipt = await group.mcast_confirmed(b"b")
    _, message = [await anext(stream) for _ in range(2)]
    assert (receipt.position, receipt.view) == (2, message.view)
    assert message.position == 2


async def test_receipts_of_many_tasks_are_their_own(group: Group) -> None:
    """Also where the messages are equal."""
    positions: dict[bytes, list[int]] = {b"same": []}

    async def send(data: bytes) -> None:
        positions.setdefault(data, []).append((await group.mcast_confirmed(data)).position)

    async with anyio.create_task_group() as tasks:
        for n in range(50):
            tasks.start_soon(send, b"same" if n % 2 else b"%d" % n)
    arrived: dict[bytes, list[int]] = {b"same": []}
    for message in await group.messages().receive_batch():
        arrived.setdefault(message.data, []).append(message.position)
    assert {data: sorted(places) for data, places in positions.items()} == arrived


async def test_each_tasks_messages_keep_their_order(group: Group) -> None:
    """Between tasks there is none, but within one there is; also through a full window."""
    stream = group.messages()
    payload = bytes(100_000)

    async def send(name: int) -> None:
        for n in range(10):
            await group.mcast(b"%d %d " % (name, n), payload)

    async with anyio.create_task_group() as tasks:
        for name in range(4):
            tasks.start_soon(send, name)
    got = [tuple(map(int, data.split()[:2])) for data in await take(stream, 40)]
    assert [number for name in range(4) for sender, number in got if sender == name] == list(range(10)) * 4


async def test_message_of_any_size_goes_natively(pair: tuple[Group, Group]) -> None:
    """In fragments, as C peers send them; confirmed too, and small ones go as usual."""
    one, two = pair
    stream = two.messages()
    large = bytes(range(256)) * 10_000
    receipt = await one.mcast_confirmed(large, native=True)
    await one.mcast(b"small", native=True)
    await one.mcast(large[1:], native=True)
    await one.mcast(b"behind")
    assert receipt.position == 1
    assert await take(stream, 4) == [large, b"small", large[1:], b"behind"]


async def test_native_message_of_four_gigabytes_is_refused(group: Group) -> None:
    """libcpg counts in 32 bits, and receivers would write past their memory."""
    with pytest.raises(MessageTooBigError) as caught:
        await group.mcast(*[bytes(1 << 20)] * 4096, native=True)
    assert (caught.value.size, caught.value.limit) == (1 << 32, (1 << 32) - 1)


async def test_members_see_the_same_order(pair: tuple[Group, Group]) -> None:
    """Whoever sends: messages of both, and the departure of one, stand at the same place for both."""
    readers = [group.events() for group in pair]

    async def send(group: Group) -> None:
        for n in range(300):
            await group.mcast(b"%d from %d" % (n, group.me.nodeid))

    async with anyio.create_task_group() as tasks:
        for group in pair:
            tasks.start_soon(send, group)
    for group in pair:
        await group.mcast_confirmed(b"last of %d" % group.me.nodeid)
    one, two = [[event async for event in _until_both_ended(reader)] for reader in readers]
    start = _place_of_the_join(one, pair[1])
    assert [_seen(event) for event in one[start:]] == [_seen(event) for event in two]


async def _until_both_ended(reader: Stream[Event]) -> AsyncIterator[Event]:
    ended = 0
    while ended < 2:
        event = await anext(reader)
        ended += isinstance(event, Message) and event.data.startswith(b"last")
        if not isinstance(event, RingChange):
            yield event


def _place_of_the_join(events: list[Event], other: Group) -> int:
    return next(
        place
        for place, event in enumerate(events)
        if isinstance(event, ConfigurationChange) and other.me in {entry.address for entry in event.joined}
    )


def _seen(event: Event) -> object:
    match event:
        case Message(sender=sender, data=data, view=view):
            return sender, data, view.members, view.ring_id
        case View(members=members, ring_id=ring_id):
            return members, ring_id
        case _:
            return event


# -- Where it may be used


async def test_group_is_refused_in_another_thread_or_loop(group: Group, anyio_backend: Backend) -> None:
    """It does nothing there, and goes on here."""

    async def elsewhere() -> None:
        for use in (group.mcast(b"x"), group.mcast_many([b"x"]), group.mcast_confirmed(b"x"), group.leave()):
            with pytest.raises(UsageError, match="another thread or event loop"):
                await use
        with pytest.raises(UsageError):
            group.events()
        with pytest.raises(UsageError):
            await anext(stream)

    stream = group.messages()
    await in_thread(lambda: run_in(anyio_backend, elsewhere))
    assert (await group.mcast_confirmed(b"first")).position == 1
