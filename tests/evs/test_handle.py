"""The handle: each function of the old interface, row by row, then what is new, and where it may be used."""

from __future__ import annotations

import sys
from array import array

import anyio
import pytest

from aiocpg import (
    ConnectionClosedError,
    GroupNameError,
    Guarantee,
    MessageTooBigError,
    NotJoinedError,
    TooManyGroupsError,
    UsageError,
    evs,
)
from aiocpg.evs import Delivery, Evs, EvsGroup, RegularConfiguration, TransitionalConfiguration
from aiocpg.evs._domain import MAX_MESSAGE_SIZE
from aiocpg.testing import CorosyncCluster, MemoryCluster
from support.evs import (
    SOON,
    configurations,
    data_until,
    domain_of,
    drop,
    handles,
    is_regular,
    payloads,
    read,
    read_until,
    receipt,
    to_end,
    together,
    unread,
)
from support.handles import finish, python
from support.loops import Backend
from support.running import PATIENCE, in_thread, run_in, turns

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed

SAFE = Guarantee.SAFE


# -- evs_initialize, evs_finalize, evs_context_get, evs_context_set


async def test_initialize_hands_out_the_configuration_in_force_first() -> None:
    """Whole, with this endpoint as the one that joined."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,), evs.connect(cluster.node(2).url) as two:
            first = await anext(two.events())
            assert isinstance(first, RegularConfiguration)
            assert first.nodes == (1, 2, 3)
            assert first.members == (one.me, two.me)
            assert first.joined == (two.me,)
            assert first.nodes_joined == (2,)
            assert first.ring_id.nodeid == 1


async def test_initialize_twice_hands_the_second_the_configuration_in_force() -> None:
    """With those who joined in it, as the old one did."""
    with MemoryCluster() as cluster:
        async with (
            handles(cluster, 2) as (two,),
            cluster.node(1).connect() as connection,
            evs.connect(connection=connection) as one,
        ):
            await together([one, two])
            async with evs.connect(connection=connection) as other:
                first = await anext(other.events())
                assert isinstance(first, RegularConfiguration)
                assert first.members == (one.me, two.me)
                assert (first.joined, first.nodes_joined) == ((one.me,), (1,))


@pytest.mark.usefixtures("no_leaks")
async def test_finalize_twice_is_fine_and_everything_else_is_refused() -> None:
    """The old one said CS_ERR_BAD_HANDLE; readers get what is there, then the end."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url)
        await one.join("g")
        await (await one.mcast_joined(b"x")).delivered()
        await one.aclose()
        await one.aclose()
        assert payloads(await to_end(one)) == [b"x"]
        assert "closed" in repr(one)
        for call in (lambda: one.join("g"), lambda: one.leave("g"), lambda: one.mcast_joined(b"x")):
            with pytest.raises(ConnectionClosedError):
                await call()
        with pytest.raises(ConnectionClosedError):
            await one.mcast_groups(["g"], b"x")
        with pytest.raises(ConnectionClosedError):
            one.membership_get()
        with pytest.raises(ConnectionClosedError):
            async with one:
                pass


@pytest.mark.usefixtures("no_leaks")
async def test_finalize_leaves_the_domain_with_the_last_handle() -> None:
    """Others see nothing of those before."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), cluster.node(1).connect() as connection:
            first = await evs.connect(connection=connection)
            second = await evs.connect(connection=connection)
            await read_until(two, is_regular(1, 2))
            await first.aclose()
            await second.join("g")
            await (await second.mcast_joined(b"still here")).delivered()
            await second.aclose()
            changes = configurations(await read_until(two, is_regular(2)))
            assert [type(change) for change in changes] == [TransitionalConfiguration, RegularConfiguration]
            assert await connection.members(b"aiocpg.evs1:default") == (two.me,)


async def test_context_is_whatever_was_put_there() -> None:
    """``evs_context_get`` and ``evs_context_set``."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, context=(1, 2)) as one:
            assert one.context == (1, 2)
            one.context = "another"
            assert one.context == "another"


# -- evs_fd_get, evs_dispatch


async def test_fd_is_watched_by_the_loop_whether_anybody_reads_or_not() -> None:
    """Who does not read is no laggard, and the old one was: what comes is acknowledged, and waits in the buffer."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            with anyio.fail_after(PATIENCE):
                receipt = await (await one.mcast_groups(["g"], b"safe", guarantee=SAFE)).delivered()
            assert receipt.configuration.members == (one.me, two.me)
            assert payloads(await unread(two)) == [b"safe"]


async def test_fd_wakes_who_waits() -> None:
    """As ``poll`` did: a reader that came first is handed what comes."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two), anyio.create_task_group() as tasks:
            await two.join("g")
            got: list[Delivery] = []

            async def wait() -> None:
                got.append(await read(two, Delivery))

            tasks.start_soon(wait)
            await turns(20)
            assert got == []
            await one.mcast_groups(["g"], b"wake")
        assert payloads(got) == [b"wake"]


async def test_dispatch_of_one_and_of_all() -> None:
    """``CS_DISPATCH_ONE`` is ``anext``, ``CS_DISPATCH_ALL`` a batch; both go on where the other ended."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await one.join("g")
            for number in b"1234":
                ticket = await one.mcast_joined(bytes([number]))
            await ticket.delivered()
            first = await anext(one.events())
            rest = await one.events().receive_batch()
            assert payloads([first]) == [b"1"]
            assert payloads(rest) == [b"2", b"3", b"4"]


async def test_dispatch_blocking_goes_on_to_finalize() -> None:
    """``CS_DISPATCH_BLOCKING`` is ``async for``, and ends when another task closes the handle."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,), anyio.create_task_group() as tasks:
            got: list[object] = []

            async def dispatch() -> None:
                got.extend([event async for event in one])
                got.append("end")

            tasks.start_soon(dispatch)
            await one.join("g")
            await (await one.mcast_joined(b"x")).delivered()
            await one.aclose()
        assert isinstance(got[0], Delivery)
        assert isinstance(got[-2], TransitionalConfiguration)
        assert got[-1] == "end"


# -- evs_join, evs_leave


async def test_join_counts_a_group_as_often_as_it_is_joined() -> None:
    """A multiset: it is left as often. Messages come once."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await one.join("b", "a", "b")
            assert one.groups == (EvsGroup("a"), EvsGroup("b"), EvsGroup("b"))
            await one.leave("b")
            await one.mcast_joined(b"1")
            await (await one.mcast_groups(["b"], b"2")).delivered()
            await one.leave("b")
            await one.mcast_groups(["b"], b"3")
            await (await one.mcast_groups(["a"], b"4")).delivered()
            assert await data_until(one, b"4") == [b"1", b"2", b"4"]


async def test_join_takes_50_groups_at_a_time_and_several_calls_add_up() -> None:
    """More in one call is refused, and none of them is joined; the same for leave."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            with pytest.raises(TooManyGroupsError) as caught:
                await one.join(*map(str, range(51)))
            assert caught.value.limit == 50
            assert one.groups == ()
            for start in range(0, 150, 50):
                await one.join(*map(str, range(start, start + 50)))
            assert len(one.groups) == 150
            with pytest.raises(TooManyGroupsError):
                await one.leave(*map(str, range(51)))
            assert len(one.groups) == 150


async def test_join_is_told_to_nobody() -> None:
    """And costs no message."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            before = one.statistics, two.statistics
            await one.join("g")
            await one.leave("g")
            await turns(20)
            assert (one.statistics, two.statistics) == before


async def test_join_counts_from_the_messages_that_are_delivered_next() -> None:
    """Those before do not come later."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await (await one.mcast_groups(["g"], b"before")).delivered()
            await one.join("g")
            await one.mcast_groups(["g"], b"behind")
            assert await data_until(one, b"behind") == [b"behind"]


@pytest.mark.parametrize("name", ["", "x" * 33, "\u00e9" * 17, 7, ["g"], bytearray(b"g")])
async def test_join_refuses_names_that_are_none(name: object) -> None:
    """And joins none of the rest."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            with pytest.raises(GroupNameError):
                await one.join("good", name)  # type: ignore[arg-type]
            assert one.groups == ()


async def test_leave_stops_at_the_first_group_that_is_not_joined() -> None:
    """Those before it are left, and the error names them."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await one.join("a", "b", "c")
            with pytest.raises(NotJoinedError) as caught:
                await one.leave("a", "b", "x", "c")
            assert caught.value.group == EvsGroup("x")
            assert caught.value.removed == (EvsGroup("a"), EvsGroup("b"))
            assert one.groups == (EvsGroup("c"),)
            with pytest.raises(NotJoinedError) as caught:
                await one.leave("c", "c")
            assert caught.value.removed == (EvsGroup("c"),)
            assert one.groups == ()


# -- evs_mcast_joined, evs_mcast_groups


async def test_mcast_joined_goes_to_what_is_joined_at_the_call() -> None:
    """Later joins and leaves change nothing for it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("a", "b")
            await one.join("a", "b")
            await one.mcast_joined(b"both")
            await one.leave("a")
            await one.mcast_joined(b"b")
            delivery = await read(two, Delivery)
            assert delivery.groups == (EvsGroup("a"), EvsGroup("b"))
            assert (await read(two, Delivery)).groups == (EvsGroup("b"),)


async def test_mcast_joined_with_nothing_joined_goes_to_nobody() -> None:
    """It is no error, and the receipt tells its place."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            first = await (await one.mcast_joined(b"to nobody", guarantee=SAFE)).delivered()
            second = await (await one.mcast_groups([], b"to nobody either")).delivered()
            assert second.position == first.position + 1
            await one.mcast_groups(["g"], b"end")
            assert await data_until(two, b"end") == [b"end"]


async def test_mcast_groups_needs_no_membership() -> None:
    """Groups are open: the sender has joined none of them, and gets no copy."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await two.join("g")
            await one.join("other")
            await (await one.mcast_groups(["g"], b"open")).delivered()
            delivery = await read(two, Delivery)
            assert (delivery.sender, delivery.data) == (one.me, b"open")
            await (await one.mcast_joined(b"end")).delivered()
            assert await data_until(one, b"end") == [b"end"]


async def test_mcast_groups_ignores_what_is_joined_and_not_named() -> None:
    """Only ``mcast_joined`` asks for it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            await one.join("joined")
            await two.join("joined")
            await one.mcast_groups(["named"], b"not for them")
            await one.mcast_groups(["joined"], b"end")
            assert await data_until(two, b"end") == [b"end"]


async def test_message_comes_once_to_each_handle_that_has_joined_one_of_its_groups() -> None:
    """However many match; to every handle, the sender's own too, with the groups that it has joined."""
    with MemoryCluster() as cluster:
        async with (
            handles(cluster, 2) as (two,),
            cluster.node(1).connect() as connection,
            evs.connect(connection=connection) as one,
            evs.connect(connection=connection) as other,
            evs.connect(connection=connection) as neither,
        ):
            await together([one, two])
            await one.join("a", "b", "c", "c")
            await other.join("b")
            await neither.join("x")
            await two.join("c")
            ticket = await one.mcast_groups(["c", "a", "b", "a"], b"once", guarantee=SAFE)
            await ticket.delivered()
            await one.mcast_groups(["a", "b", "c", "x"], b"end")
            for handle, groups in ((one, "abc"), (other, "b"), (two, "c"), (neither, "")):
                events = await read_until(handle, lambda event: isinstance(event, Delivery) and event.data == b"end")
                copies = [event for event in events if isinstance(event, Delivery) and event.data == b"once"]
                assert [[str(group) for group in copy.groups] for copy in copies] == [list(groups)] * bool(groups)


async def test_message_goes_to_255_groups_and_not_to_256() -> None:
    """Different ones: duplicates are sent once."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2) as (one, two):
            names = [f"group {number}" for number in range(256)]
            await two.join(names[254])
            await one.mcast_groups(names[:255] * 2, b"255")
            assert (await read(two, Delivery)).data == b"255"
            with pytest.raises(TooManyGroupsError) as caught:
                await one.mcast_groups(names, b"256")
            assert (caught.value.number, caught.value.limit) == (256, 255)
            for start in range(0, 250, 50):
                await one.join(*names[start : start + 50])
            await one.join(*names[250:])
            with pytest.raises(TooManyGroupsError):
                await one.mcast_joined(b"256")


async def test_buffers_are_gathered_and_may_be_reused() -> None:
    """Of all kinds, also views of other items and views with gaps; none makes an empty message."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await one.join("g")
            reused = bytearray(b"cd")
            buffers = (b"ab", reused, memoryview(b"e-f-")[::2], memoryview(array("H", [0x6867])), b"")
            ticket = await one.mcast_joined(*buffers)
            reused[:] = b"xx"
            await one.mcast_joined()
            await one.mcast_joined(b"")
            await one.mcast_groups(["g"], memoryview(b"end"))
            await ticket.delivered()
            little = b"gh" if sys.byteorder == "little" else b"hg"
            assert await data_until(one, b"end") == [b"abcdef" + little, b"", b"", b"end"]


@pytest.mark.parametrize("data", ["text", 7, None, [b"x"], array("B", b"x")])
async def test_what_is_no_bytes_is_refused(data: object) -> None:
    """Before anything is sent."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            with pytest.raises(TypeError):
                await one.mcast_joined(data)  # type: ignore[arg-type]
            with pytest.raises(TypeError):
                await one.mcast_groups(["g"], b"x", data)  # type: ignore[arg-type]
            assert one.statistics.under_way == 0


@pytest.mark.parametrize("group", ["group", b"group", EvsGroup("group")])
async def test_bare_group_is_refused(group: str | bytes | EvsGroup) -> None:
    """A string is a list of its characters to Python, and meant by nobody."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            with pytest.raises(TypeError, match="brackets"):
                await one.mcast_groups(group, b"x")  # type: ignore[arg-type]


async def test_message_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 GiB, by the sum of the buffers; nothing is copied for it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            assert one.max_message_size == 1 << 30
            part = bytes(1 << 20)
            with pytest.raises(MessageTooBigError) as caught:
                await one.mcast_joined(*[part] * 1024, b"x")
            assert (caught.value.size, caught.value.limit) == (MAX_MESSAGE_SIZE + 1, MAX_MESSAGE_SIZE)


@pytest.mark.parametrize("guarantee", [3, "SAFE", None])
async def test_what_is_no_guarantee_is_refused(guarantee: object) -> None:
    """A number as well: nobody reads what it means."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            for size in (1, 2_000_000):
                with pytest.raises(TypeError):
                    await one.mcast_groups(["g"], bytes(size), guarantee=guarantee)  # type: ignore[arg-type]


# -- evs_membership_get, the configuration callback


async def test_membership_get_is_whole_and_of_the_configuration_handed_out_last() -> None:
    """Ahead of what this handle has read."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2, 3) as (two, three):
            membership = two.membership_get()
            assert membership.nodeid == 2
            assert membership.nodes == (1, 2, 3)
            assert membership.members == (two.me, three.me)
            cluster.partition({2}, {1, 3})
            await read_until(two, is_regular(2))
            now = two.membership_get()
            assert (now.nodes, now.members) == ((2,), (two.me,))
            assert now.ring_id.seq > membership.ring_id.seq
            assert now.ring_id.nodeid == 2


async def test_membership_get_is_by_node_and_of_the_ring_that_corosync_has(cluster: CorosyncCluster) -> None:
    """On real daemons: nodes without endpoints too, the ring's real id, and who comes on such a node is no new node."""
    async with (
        cluster.node(2).connect() as connection,
        cluster.node(3).connect() as another,
        evs.connect(connection=connection) as two,
    ):
        membership = two.membership_get()
        ring = connection.health.ring
        assert ring is not None
        assert (membership.nodeid, membership.nodes, membership.members) == (2, (1, 2, 3), (two.me,))
        assert (membership.nodes, membership.ring_id) == (ring.nodes, ring.ring_id)
        async with evs.connect(connection=another) as three:
            joined = (await read_until(two, is_regular(2, 3)))[-1]
            assert isinstance(joined, RegularConfiguration)
            assert (joined.joined, joined.nodes_joined, joined.ring_id) == ((three.me,), (), ring.ring_id)


async def test_configurations_come_in_pairs_as_nodes_part_and_meet() -> None:
    """First the transitional one: who goes on, who left; then the regular one: all, who joined. With real ring ids."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, 3) as (one, two, three):
            before = one.membership_get()
            cluster.partition({1, 2}, {3})
            parting = configurations(await read_until(one, is_regular(1, 2)))
            cluster.heal()
            meeting = configurations(await read_until(one, is_regular(1, 2, 3)))
        cut, alone = parting
        assert isinstance(cut, TransitionalConfiguration)
        assert isinstance(alone, RegularConfiguration)
        assert (cut.nodes, cut.nodes_left) == ((1, 2), (3,))
        assert (cut.members, cut.left) == ((one.me, two.me), (three.me,))
        assert cut.ring_id == before.ring_id
        assert (alone.nodes, alone.nodes_joined, alone.members, alone.joined) == ((1, 2), (), (one.me, two.me), ())
        join, both = meeting
        assert isinstance(join, TransitionalConfiguration)
        assert isinstance(both, RegularConfiguration)
        assert (join.nodes, join.nodes_left, join.members, join.left) == ((1, 2), (), (one.me, two.me), ())
        assert join.ring_id == alone.ring_id
        assert (both.nodes, both.nodes_joined) == ((1, 2, 3), (3,))
        assert (both.members, both.joined) == ((one.me, two.me, three.me), (three.me,))
        assert before.ring_id.seq < alone.ring_id.seq < both.ring_id.seq
        assert [cut.number + 1, alone.number + 1] == [alone.number, both.number]


async def test_configurations_come_for_nodes_without_endpoints() -> None:
    """As in the old interface, members are nodes; whether somebody on them uses the domain is another matter."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            cluster.node(3).kill()
            transitional, regular = await read_until(one, is_regular(1))
            assert isinstance(transitional, TransitionalConfiguration)
            assert isinstance(regular, RegularConfiguration)
            assert (transitional.nodes, transitional.nodes_left) == ((1, 2), (3,))
            assert (regular.nodes, regular.nodes_joined) == ((1, 2), ())
            cluster.node(3).start()
            _, regular = await read_until(one, is_regular(1))
            assert isinstance(regular, RegularConfiguration)
            assert (regular.nodes, regular.nodes_joined) == ((1, 2, 3), (3,))


async def test_configurations_come_to_all_handles_and_without_groups_too() -> None:
    """The same ones, at the same place among the messages."""
    with MemoryCluster() as cluster:
        async with (
            cluster.node(1).connect() as connection,
            evs.connect(connection=connection) as one,
            evs.connect(connection=connection) as other,
        ):
            await unread(one)
            await unread(other)
            await one.join("g")
            await (await one.mcast_joined(b"before")).delivered()
            async with evs.connect(cluster.node(2).url):
                await (await one.mcast_joined(b"behind")).delivered()
                got = await read_until(one, lambda event: isinstance(event, Delivery) and event.data == b"behind")
                same = configurations(got)
                assert [type(event) for event in got] == [
                    Delivery,
                    TransitionalConfiguration,
                    RegularConfiguration,
                    Delivery,
                ]
                assert await unread(other) == same


async def test_configurations_come_as_endpoints_come_and_go_on_the_same_nodes() -> None:
    """The old interface did not see processes; SAFE has to."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            async with evs.connect(cluster.node(1).url) as other:
                events = configurations(await read_until(one, lambda event: getattr(event, "joined", ()) != ()))
                joined = events[-1]
                assert isinstance(joined, RegularConfiguration)
                assert (joined.joined, joined.nodes_joined) == ((other.me,), ())
            transitional, regular = await read_until(one, is_regular(1))
            assert isinstance(transitional, TransitionalConfiguration)
            assert (transitional.left, transitional.nodes_left) == ((other.me,), ())
            assert isinstance(regular, RegularConfiguration)
            assert regular.members == (one.me,)


# -- What it says of itself


async def test_handle_shows_what_it_is() -> None:
    """Domain, address, and whether it is open."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2, domain="orders") as (two,):
            assert two.domain == b"orders"
            assert two.me.nodeid == 2
            assert repr(two) == f"<Evs b'orders' {two.me} open>"
            assert repr(two.events()) == "<Stream the domain b'orders'>"
            assert two.events() is aiter(two)
            assert (two.stalled, two.groups) == (None, ())
            cluster.node(2).kill()
            with pytest.raises(ConnectionError):
                await to_end(two)
            assert "lost" in repr(two)


# -- The end


@pytest.mark.usefixtures("no_leaks")
async def test_block_never_hides_what_was_raised_in_it() -> None:
    """Also where closing meets a loss, or is cut short."""
    with MemoryCluster() as cluster:
        for reconnect in (None, True):
            with pytest.raises(ZeroDivisionError):
                async with evs.connect(cluster.node(1).url, close_timeout=SOON, reconnect=reconnect) as one:
                    await one.mcast_groups(["g"], b"x", guarantee=SAFE)
                    cluster.node(1).kill()
                    raise ZeroDivisionError
            cluster.node(1).start()
        with pytest.raises(ZeroDivisionError):
            async with evs.connect(cluster.node(1).url, close_timeout=SOON) as one:
                cluster.node(1).stop()
                await one.mcast_groups(["g"], b"x", guarantee=SAFE)
                raise ZeroDivisionError
        cluster.node(1).cont()


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("after", [0, 1, 4])
async def test_cancelled_close_is_cut_short(after: int) -> None:
    """Nothing stays; what was out is known or unknown, and settled; others see the endpoint go."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,):
            one = await evs.connect(cluster.node(1).url, close_timeout=10 * PATIENCE)
            await read_until(two, is_regular(1, 2))
            cluster.node(2).stop()
            ticket = await one.mcast_groups(["g"], b"x", guarantee=SAFE)
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one.aclose)
                    await turns(after)
                    scope.cancel()
            await one.aclose()
            if after:
                assert ticket.is_settled
                await to_end(one)
            cluster.node(2).cont()
            await read_until(two, is_regular(2))


@pytest.mark.usefixtures("no_leaks")
async def test_handle_is_opened_in_one_task_and_closed_in_another() -> None:
    """No scope of the opener's is left in it."""
    with MemoryCluster() as cluster:
        opened: list[Evs] = []

        async def open_one() -> None:
            opened.append(await evs.connect(cluster.node(1).url))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(open_one)
        (one,) = opened
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(one.aclose)
        await to_end(one)


async def test_closing_the_handle_ends_its_reader() -> None:
    """The one that waits right now; handles beside it go on."""
    with MemoryCluster() as cluster:
        async with cluster.node(1).connect() as connection, evs.connect(connection=connection) as other:
            one = await evs.connect(connection=connection)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(to_end, one)
                await turns()
                await one.aclose()
            await other.join("g")
            await other.mcast_joined(b"on")
            assert await data_until(other, b"on") == [b"on"]


# -- Where it may be used


async def test_handle_is_refused_in_another_thread_or_loop(anyio_backend: Backend) -> None:
    """It does nothing there, not even close, and goes on here."""

    async def elsewhere() -> None:
        for use in (lambda: one.join("g"), lambda: one.leave("g"), lambda: one.mcast_joined(b"x"), one.aclose):
            with pytest.raises(UsageError, match="another thread or event loop"):
                await use()
        with pytest.raises(UsageError):
            await one.mcast_groups(["g"], b"x")
        with pytest.raises(UsageError):
            await anext(one.events())
        with pytest.raises(UsageError):
            one.membership_get()

    with MemoryCluster() as cluster:
        async with handles(cluster, 1) as (one,):
            await in_thread(lambda: run_in(anyio_backend, elsewhere))
            await one.join("g")
            await one.mcast_joined(b"on")
            assert await data_until(one, b"on") == [b"on"]
            assert domain_of(one).error is None


FORKING = """
import anyio, os, signal, sys
from aiocpg import ForkedError, Guarantee, evs

async def refused(*calls):
    for call in calls:
        try:
            result = call()
            if hasattr(result, "__await__"):
                await result
        except ForkedError:
            continue
        raise AssertionError("not refused")

async def in_child(one, stream, scope):
    await refused(
        lambda: one.join("h"), lambda: one.leave("g"), lambda: one.mcast_joined(b"x"), one.membership_get,
        lambda: one.mcast_groups(["g"], b"x", guarantee=Guarantee.SAFE), stream.__anext__,
        lambda: one.mcast_joined(bytes(2_000_000)), one.__aenter__,
    )
    await one.aclose()
    await one.__aexit__(None, None, None)
    await scope.__aexit__(None, None, None)

def step(coroutine):
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")

async def new():
    async with evs.connect("memory://world") as one:
        await one.join("g")
        await (await one.mcast_joined(b"in the child", guarantee=Guarantee.SAFE)).delivered()

async def main():
    scope = evs.connect("memory://world")
    async with scope as one:
        await one.join("g")
        await (await one.mcast_joined(b"before", guarantee=Guarantee.SAFE)).delivered()
        pid = os.fork()
        if not pid:
            code = 1
            try:
                signal.alarm(20)
                step(in_child(one, one.events(), scope))
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        await (await one.mcast_joined(b"behind", guarantee=Guarantee.SAFE)).delivered()
        assert [event.data for event in await one.events().receive_batch() if hasattr(event, "data")] == [
            b"before", b"behind"]

backend, _, uvloop = sys.argv[1].partition("+")
anyio.run(main, backend=backend, backend_options={"use_uvloop": True} if uvloop else {})
"""


@pytest.mark.parametrize("loop", ["asyncio", "asyncio+uvloop", "trio"])
def test_forked_child_is_refused_and_the_parent_goes_on(loop: str) -> None:
    """Every use is a ForkedError there, closing does nothing, and the parent's endpoint does not notice."""
    finish(python(FORKING, loop))


# -- Traces


async def test_trace_comes_with_its_message_and_no_other() -> None:
    """In one frame with others, as far as it may go; to every handle."""
    longest = bytes(1000)
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, 2, groups=["g"]) as both:
            await both[0].mcast_groups(["g"], b"1")
            await both[0].mcast_traced(b"context", ["g"], b"2")
            await both[0].mcast_groups(["g"], b"3")
            await both[0].mcast_traced(longest, ["g"], b"", guarantee=SAFE)
            for handle in both:
                events = await read_until(handle, lambda event: isinstance(event, Delivery) and event.data == b"")
                messages = [event for event in events if isinstance(event, Delivery)]
                assert [(one.data, one.trace) for one in messages] == [
                    (b"1", b""),
                    (b"2", b"context"),
                    (b"3", b""),
                    (b"", longest),
                ]


async def test_empty_trace_is_none() -> None:
    """Who traces nothing at the moment sends what who never traces sends."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["g"]) as (one,):
            sizes: list[int] = []
            drop(one, lambda frame: sizes.append(len(frame)))
            for sending in one.mcast_groups(["g"], b"1"), one.mcast_traced(b"", ["g"], b"2"):
                ticket = await sending
                await receipt(ticket)
            assert sizes[0] == sizes[-1]


async def test_trace_may_be_any_buffer() -> None:
    """And nothing else. Were it counted by its items, the frame would be malformed, with all that is in it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 1, groups=["g"]) as (one,):
            await one.mcast_groups(["g"], b"neighbour")
            await one.mcast_traced(memoryview(array("I", [7, 8])), ["g"], b"traced")
            with pytest.raises(TypeError):
                await one.mcast_traced("text", ["g"], b"x")  # type: ignore[arg-type]
            assert (await read(one, Delivery)).data == b"neighbour"
            assert (await read(one, Delivery)).trace == array("I", [7, 8]).tobytes()


async def test_trace_that_is_too_long_is_refused() -> None:
    """Nothing is sent then."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, groups=["g"]) as one:
            with pytest.raises(ValueError, match="1000 bytes, not 1001"):
                await one.mcast_traced(bytes(1001), ["g"], b"x")
            assert one.statistics.under_way == 0


async def test_trace_comes_beside_a_message_in_pieces() -> None:
    """Once, with the whole."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, groups=["g"]) as one:
            await one.mcast_traced(b"context", ["g"], bytes(3_000_000))
            message = await read(one, Delivery)
            assert (len(message.data), message.trace) == (3_000_000, b"context")
