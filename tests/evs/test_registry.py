"""Endpoints of this process: one for each connection or URL and domain, shared by its handles."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import aiocpg
from aiocpg import AlreadyJoinedError, Connection, UsageError, evs
from aiocpg.evs import Evs, _registry
from aiocpg.testing import MemoryCluster
from support.evs import SOON, domain_of, handles, read_until, to_end
from support.loops import Backend
from support.running import PATIENCE, in_thread, run_in, turns

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def is_tidy() -> object:
    """See that the registry forgets what is closed."""
    before = dict(_registry._domains)
    yield
    assert _registry._domains == before
    assert _registry._turns == {}


async def test_handles_of_one_url_share_an_endpoint(local_directory: Path) -> None:
    """One address, one CPG member; what one sends the other may read."""
    async with evs.connect("local://shared") as one, evs.connect("local://shared") as two:
        assert domain_of(one) is domain_of(two)
        assert one.me == two.me
        await two.join("g")
        await one.mcast_groups(["g"], b"x")
        await read_until(two, lambda event: isinstance(event, evs.Delivery))
        assert one.statistics == two.statistics


async def test_handles_of_one_connection_share_an_endpoint() -> None:
    """And handles of other connections and domains have their own."""
    async with (
        aiocpg.connect("memory://shared") as connection,
        aiocpg.connect("memory://shared") as another,
        evs.connect(connection=connection) as one,
        evs.connect(connection=connection) as same,
        evs.connect(connection=connection, domain="other") as other,
        evs.connect(connection=another) as apart,
        evs.connect("memory://shared") as own,
    ):
        assert domain_of(one) is domain_of(same)
        assert len({id(domain_of(handle)) for handle in (one, other, apart, own)}) == 4


async def test_other_options_are_refused(local_directory: Path) -> None:
    """They belong to the endpoint; a handle's own are its own."""
    async with evs.connect("local://options", window=1000):
        with pytest.raises(UsageError, match=r"domain b'default' with other options, window=1000 and not 4194304: its"):
            await evs.connect("local://options")
        with pytest.raises(UsageError, match="other options"):
            await evs.connect("local://options", window=1000, stall_timeout=7)
        async with evs.connect("local://options", window=1000, max_buffered_bytes=9, context=1, close_timeout=0):
            pass


async def test_other_ways_of_connecting_are_refused(local_directory: Path) -> None:
    """The endpoint has one connection, which cannot do both."""
    async with evs.connect("local://ways"):
        for ways in ({"reconnect": True}, {"daemon_uid": 12345}):
            with pytest.raises(UsageError, match="other options"):
                await evs.connect("local://ways", **ways)  # type: ignore[arg-type]


@pytest.mark.parametrize("lent", [True, False])
async def test_second_event_loop_is_refused(local_directory: Path, anyio_backend: Backend, lent: bool) -> None:
    """The endpoint belongs to the first; when that has left, the second may have one."""

    async def elsewhere() -> None:
        with pytest.raises(AlreadyJoinedError):
            await open_one()

    async with aiocpg.connect("memory://loops") as connection:

        def open_one() -> aiocpg.Opening[Evs]:
            return evs.connect(connection=connection) if lent else evs.connect("local://loops")

        async with open_one():
            await in_thread(lambda: run_in(anyio_backend, elsewhere))

    async def alone() -> None:
        async with evs.connect("local://loops"):
            pass

    await in_thread(lambda: run_in(anyio_backend, alone))


async def test_endpoint_lives_until_its_last_handle_is_closed() -> None:
    """In whatever order they came; the next one opens it anew."""
    async with aiocpg.connect("memory://last") as connection:
        one, two = await evs.connect(connection=connection), await evs.connect(connection=connection)
        await one.aclose()
        third = await evs.connect(connection=connection)
        assert domain_of(third) is domain_of(two)
        await two.aclose()
        assert len(await connection.groups()) == 1
        await third.aclose()
        assert await connection.groups() == {}
        async with evs.connect(connection=connection) as anew:
            assert domain_of(anew) is not domain_of(third)


async def test_opening_while_others_open_shares_what_they_get(local_directory: Path) -> None:
    """None of them is refused as a second join of the CPG group."""
    opened: list[Evs] = []

    async def open_one() -> None:
        opened.append(await evs.connect("local://crowd"))

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(open_one)
        assert len({id(domain_of(one)) for one in opened}) == 1
        async with anyio.create_task_group() as tasks:
            for one in opened:
                tasks.start_soon(one.aclose)


async def test_opening_and_closing_in_a_crowd_works_out() -> None:
    """Each waits for who opens or closes just now."""

    async def come_and_go(connection: Connection, number: int) -> None:
        await turns(number)
        for _ in range(4):
            async with evs.connect(connection=connection) as one:
                await turns(number % 3)
                await (await one.mcast_groups(["g"], b"x")).delivered()
            await turns(number % 2)

    async with aiocpg.connect("memory://crowd") as connection:
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                for number in range(8):
                    tasks.start_soon(come_and_go, connection, number)
        assert await connection.groups() == {}


@pytest.mark.usefixtures("no_leaks")
async def test_opening_in_a_crowd_of_which_some_are_cancelled_works_out() -> None:
    """Who opens for all may be the one that is cancelled; the next in line opens then."""
    async with aiocpg.connect("memory://cancelled") as connection:
        for after in range(14):
            opened: list[Evs] = []

            async def open_one(opened: list[Evs], scope: anyio.CancelScope) -> None:
                with scope:
                    opened.append(await evs.connect(connection=connection))

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    first = anyio.CancelScope()
                    tasks.start_soon(open_one, opened, first)
                    for _ in range(2):
                        tasks.start_soon(open_one, opened, anyio.CancelScope())
                    await turns(after)
                    first.cancel()
                assert len(opened) in (2, 3)
                for one in opened:
                    await one.aclose()
            assert await connection.groups() == {}


async def test_lost_endpoint_is_not_handed_out_again() -> None:
    """Who opens next gets a new one, or the error of opening it; the old handles are closed as ever."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), cluster.node(1).connect() as connection:
            one = await evs.connect(connection=connection)
            domain_of(one).on_crash(ValueError("for the test"))
            async with evs.connect(connection=connection) as anew:
                assert domain_of(anew) is not domain_of(one)
                await (await anew.mcast_groups(["g"], b"x")).delivered()
                await one.aclose()
                await (await anew.mcast_groups(["g"], b"x")).delivered()
            assert await connection.groups() == {b"aiocpg.evs1:default": (two.me,)}


@pytest.mark.parametrize("after", [0, 1, 2, 4])
async def test_closing_a_lost_endpoint_while_another_is_opened_works_out(after: int) -> None:
    """They are two, though they have one name."""
    with MemoryCluster() as cluster:
        async with cluster.node(1).connect() as connection:
            one = await evs.connect(connection=connection)
            domain_of(one).on_crash(ValueError("for the test"))
            opened: list[Evs] = []

            async def open_one() -> None:
                opened.append(await evs.connect(connection=connection))

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(open_one)
                    await turns(after)
                    await one.aclose()
                await (await opened[0].mcast_groups(["g"], b"x")).delivered()
                await opened[0].aclose()
            assert await connection.groups() == {}


def test_handle_that_was_never_closed_does_not_keep_the_next_loop_out(
    local_directory: Path, anyio_backend: Backend
) -> None:
    """Its loop has ended, and with it the endpoint; the connection warns of itself."""

    async def forgets() -> Evs:
        return await evs.connect("local://forgotten", close_timeout=SOON)

    async def opens() -> None:
        async with evs.connect("local://forgotten") as one:
            await (await one.mcast_groups(["g"], b"x")).delivered()

    with pytest.warns(ResourceWarning, match="was still open when its event loop ended"):
        forgotten = run_in(anyio_backend, forgets)
    run_in(anyio_backend, opens)
    run_in(anyio_backend, opens)
    assert domain_of(forgotten).is_over


@pytest.mark.usefixtures("no_leaks")
async def test_own_connection_of_a_lost_endpoint_is_closed_with_its_last_handle() -> None:
    """Though the registry has forgotten it: nothing of it may stay."""
    with MemoryCluster() as cluster:
        one = await evs.connect(cluster.node(1).url)
        connection = domain_of(one).connection
        domain_of(one).on_crash(ValueError("for the test"))
        with pytest.raises(ConnectionError):
            await to_end(one)
        await one.aclose()
        assert not connection.health.is_connected
