"""Opening a domain: what is checked, what passes through, and that nothing stays of what was not opened."""

from __future__ import annotations

import asyncio

import anyio
import pytest

import aiocpg
from aiocpg import (
    AlreadyJoinedError,
    ConnectionLostError,
    EngineUnavailableError,
    GroupNameError,
    TooManyGroupsError,
    UsageError,
    evs,
)
from aiocpg.evs import Delivery, Evs, EvsGroup, RegularConfiguration
from aiocpg.evs._connect import MAX_DOMAIN_LENGTH, _chosen, _key
from aiocpg.evs._domain import PREFIX
from aiocpg.testing import MemoryCluster
from support.evs import SOON, data_until, handles, is_regular, nth, read_until
from support.loops import running_loop
from support.running import PATIENCE, turns

pytestmark = pytest.mark.anyio


# -- What is asked for


@pytest.mark.parametrize("domain", ["d", b"\0", "\u00e9" * 57 + "e", b"x" * 115])
async def test_domain_name_has_1_to_115_bytes(domain: str | bytes) -> None:
    """Text counts as UTF-8; with the prefix it fills the name of a CPG group."""
    async with evs.connect("memory://names", domain=domain) as one:
        assert one.domain == (domain.encode() if isinstance(domain, str) else domain)
    assert MAX_DOMAIN_LENGTH == 127 - len(PREFIX) == 115


@pytest.mark.parametrize("domain", ["", b"", "x" * 116, "\u00e9" * 58, None, 7, bytearray(b"d")])
async def test_domain_name_that_cannot_be_is_refused_before_anything_is_opened(domain: object) -> None:
    """It says what is wrong."""
    with pytest.raises(GroupNameError, match="domain's name"):
        evs.connect("memory://names", domain=domain)  # type: ignore[arg-type]


async def test_domains_of_other_names_have_nothing_to_do_with_each_other() -> None:
    """Not even in one process."""
    async with (
        aiocpg.connect("memory://apart") as connection,
        evs.connect(connection=connection, domain="a") as a,
        evs.connect(connection=connection, domain="b") as b,
    ):
        assert a.membership_get().members == b.membership_get().members == (a.me,)
        await a.join("g")
        await (await b.mcast_groups(["g"], b"for b")).delivered()
        assert a.statistics.delivered == 0


async def test_connection_and_what_makes_one_do_not_go_together() -> None:
    """A connection has its own URL and ways."""
    async with aiocpg.connect("memory://both") as connection:
        for more in ({"url": "memory://both"}, {"reconnect": True}, {"daemon_uid": 0}):
            with pytest.raises(UsageError, match="a connection was given"):
                evs.connect(connection=connection, **more)  # type: ignore[arg-type]


async def test_url_of_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for connections; each ``memory://`` is a process of its own."""
    monkeypatch.setenv("AIOCPG_URL", "memory://environment?node=7")
    async with evs.connect() as one, evs.connect() as two:
        assert one.me.nodeid == two.me.nodeid == 7
        assert one.me != two.me


@pytest.mark.parametrize("given", [None, "", "corosync://", "corosync:", "corosync:///"])
@pytest.mark.parametrize("environment", [None, "", "corosync://"])
def test_url_that_is_left_out_is_the_endpoint_of_the_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environment: str | None
) -> None:
    """However it is spelled, and with the environment empty or unset: Corosync would refuse the second join."""
    monkeypatch.delenv("AIOCPG_URL", raising=False)
    if environment is not None:
        monkeypatch.setenv("AIOCPG_URL", environment)
    assert _key(_chosen(given), None, b"d") == _key("corosync://", None, b"d")


def test_endpoints_of_other_urls_are_others() -> None:
    """And so is each in a process of its own."""
    keys = {_key(url, None, b"d") for url in ("corosync://", "local://a", "local://b", "local://a?pid=7", "local://[")}
    assert len(keys | {_key("memory://a", None, b"d") for _ in range(2)}) == 7


@pytest.mark.parametrize("options", [{"max_buffered_bytes": -1}, {"max_frame": 0}, {"evict_after": 0.1}])
async def test_option_that_cannot_be_is_refused_before_anything_is_opened(options: dict[str, float]) -> None:
    """At the call, not when it is awaited."""
    with pytest.raises(ValueError):
        evs.connect("memory://options", **options)  # type: ignore[arg-type]


async def test_opening_shows_what_it_is() -> None:
    """Before it is awaited."""
    opening = evs.connect("memory://shown", domain="orders")
    assert repr(opening) == "<Opening of domain b'orders': await it, or use 'async with'>"
    await (await opening).aclose()


# -- Groups from the beginning


async def test_groups_are_joined_before_the_endpoint_delivers_anything() -> None:
    """However much others send meanwhile: the first of all messages comes, and none is missing behind it."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), anyio.create_task_group() as tasks:
            tasks.start_soon(_send_on, two)
            async with evs.connect(cluster.node(1).url, groups=["g", "h"]) as one:
                assert one.groups == (EvsGroup("g"), EvsGroup("h"))
                assert isinstance(await anext(one.events()), RegularConfiguration)
                deliveries = [event for event in await read_until(one, nth(200)) if isinstance(event, Delivery)]
                assert [delivery.position for delivery in deliveries] == list(range(1, 201))
            tasks.cancel_scope.cancel()


async def _send_on(handle: Evs) -> None:
    while True:
        await handle.mcast_groups(["g"], b"x")
        await turns()


async def test_groups_of_a_handle_that_shares_an_endpoint_are_its_own() -> None:
    """Joined before its first event, whatever the other has joined."""
    async with (
        aiocpg.connect("memory://shares") as connection,
        evs.connect(connection=connection, groups=["a"]) as one,
        evs.connect(connection=connection, groups=["b", "b"]) as two,
    ):
        assert (one.groups, two.groups) == ((EvsGroup("a"),), (EvsGroup("b"), EvsGroup("b")))
        await one.mcast_groups(["b"], b"for two")
        assert await data_until(two, b"for two") == [b"for two"]


async def test_groups_that_cannot_be_are_refused_before_anything_is_opened() -> None:
    """As by join, and one that is no list as by mcast_groups."""
    with pytest.raises(TooManyGroupsError) as caught:
        evs.connect("memory://groups", groups=map(str, range(51)))
    assert (caught.value.number, caught.value.limit) == (51, 50)
    with pytest.raises(GroupNameError):
        evs.connect("memory://groups", groups=["fine", ""])
    for one in ("bare", b"bare", EvsGroup("bare")):
        with pytest.raises(TypeError, match="brackets"):
            evs.connect("memory://groups", groups=one)  # type: ignore[arg-type]


# -- What passes through


def test_errors_know_a_domain_by_its_name() -> None:
    """They may not import what they describe."""
    assert "the domain b'shop'" in str(AlreadyJoinedError(PREFIX + b"shop"))


async def test_error_of_connecting_passes_through() -> None:
    """Of a daemon that is not there, and of a URL that names none."""
    with MemoryCluster() as cluster:
        url = cluster.node(1).url
        cluster.node(1).kill()
        with pytest.raises(EngineUnavailableError, match="does not run"):
            await evs.connect(url)
    for url in ("nothing://here", "corosync://there", "local://[", "corosync://#there"):
        with pytest.raises(UsageError):
            await evs.connect(url)


@pytest.mark.usefixtures("no_leaks")
async def test_daemon_that_does_not_answer_is_given_up() -> None:
    """After ``connect_timeout``."""
    with MemoryCluster() as cluster:
        cluster.node(1).stop()
        with pytest.raises(EngineUnavailableError, match="did not let us in"):
            await evs.connect(cluster.node(1).url, connect_timeout=SOON)
        cluster.node(1).cont()


async def test_error_of_joining_passes_through_and_leaves_the_callers_connection_open() -> None:
    """Somebody of this process may hold the CPG group."""
    async with aiocpg.connect("memory://taken") as connection, connection.join(PREFIX + b"default"):
        with pytest.raises(AlreadyJoinedError, match="in the domain b'default'"):
            await evs.connect(connection=connection)
        async with evs.connect(connection=connection, domain="other"):
            pass


@pytest.mark.usefixtures("no_leaks")
async def test_loss_while_opening_passes_through() -> None:
    """At whatever point; a handle that is there by then says so when it is used."""
    for after in range(12):
        with MemoryCluster() as cluster:
            connection = await cluster.node(1).connect()
            outcome: list[object] = []

            async def open_one() -> None:
                try:
                    async with evs.connect(connection=connection) as one:  # noqa: B023
                        async for _ in one:
                            pass
                except ConnectionLostError as error:
                    outcome.append(error)  # noqa: B023

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(open_one)
                    await turns(after)
                    cluster.node(1).kill()
            assert len(outcome) == 1
            await connection.aclose()


# -- What is left


@pytest.mark.usefixtures("no_leaks")
async def test_connection_of_the_caller_stays_open() -> None:
    """And has left the domain when the handle is closed."""
    async with aiocpg.connect("memory://lent") as connection:
        for _ in range(3):
            async with evs.connect(connection=connection) as one:
                await (await one.mcast_groups(["g"], b"x")).delivered()
            assert await connection.groups() == {}


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("lent", [True, False])
async def test_opening_can_be_cancelled_at_any_point(lent: bool) -> None:
    """Nothing is left: others see nothing, or see the endpoint come and go, and it can be opened again."""
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), cluster.node(1).connect() as connection:
            ways = {"connection": connection} if lent else {"url": cluster.node(1).url}
            for after in range(16):
                with anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_open_and_close, ways)
                        await turns(after)
                        scope.cancel()
            await until_alone(two)
            with anyio.fail_after(PATIENCE):
                async with evs.connect(**ways):  # type: ignore[arg-type]
                    await read_until(two, is_regular(1, 2))


async def _open_and_close(ways: dict[str, object]) -> None:
    async with evs.connect(**ways):  # type: ignore[arg-type]
        pass


async def until_alone(handle: Evs) -> None:
    """Wait until nobody else is in the domain."""
    with anyio.fail_after(PATIENCE):
        while handle.membership_get().members != (handle.me,):  # noqa: ASYNC110 - nothing announces it to who reads
            await anyio.sleep(0.001)


@pytest.mark.usefixtures("no_leaks")
async def test_opening_can_be_cancelled_as_asyncio_does_it() -> None:
    """Once, and not for good as a scope does: what has to be awaited on the way out is."""
    if running_loop() == "trio":
        return
    with MemoryCluster() as cluster:
        async with handles(cluster, 2) as (two,), cluster.node(1).connect() as connection:
            for ways in ({"connection": connection}, {"url": cluster.node(1).url}):
                for after in range(16):
                    task = asyncio.create_task(_open_and_close(ways))  # type: ignore[arg-type]
                    await turns(after)
                    task.cancel()
                    await asyncio.wait([task])
                    assert task.cancelled() or task.exception() is None
            await until_alone(two)
            assert await connection.groups() == {PREFIX + b"default": (two.me,)}


@pytest.mark.usefixtures("no_leaks")
async def test_opening_can_be_cancelled_while_the_daemon_stands_still() -> None:
    """What it has joined by then is given up without asking."""
    for after in range(12):
        with MemoryCluster() as cluster:
            async with cluster.node(1).connect() as connection:
                with anyio.fail_after(PATIENCE), anyio.CancelScope() as scope:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(evs.connect(connection=connection, close_timeout=0).__aenter__)
                        await turns(after)
                        cluster.node(1).stop()
                        await turns(3)
                        scope.cancel()
                cluster.node(1).cont()
                if scope.cancelled_caught:
                    async with evs.connect(connection=connection):
                        pass
