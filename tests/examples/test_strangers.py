"""Another program is in the group and sends what it likes: each example passes that over, all its copies alike."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import Any

import anyio
import counter
import orders
import pytest
from aiohttp import ClientWebSocketResponse, web
from dashboard.service import make_app

import aiocpg
from aiocpg import Address, Guarantee, evs
from aiocpg.testing import ClusterNode, MemoryCluster, MemoryNode
from examples.programs import Stage, load, stage
from support.rubbish import RUBBISH
from support.running import until
from support.web import Client, read, read_until, running

STRANGER = Address(3, 33)
ME, OTHER = Address(1, 11), Address(2, 22)

each = pytest.mark.parametrize("data", RUBBISH.values(), ids=RUBBISH.keys())
with_anyio = pytest.mark.anyio
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@pytest.fixture(autouse=True)
def nobody_is_known() -> None:
    """What other tests have been warned of is forgotten."""
    counter.warn_of.cache_clear()


@pytest.fixture
def play() -> Iterator[Stage]:
    """Start programs here."""
    with stage() as it:
        yield it


def in_sync(replica: Any, me: Address) -> Any:
    """Begin a history alone."""
    letters = replica.view((me,), False)
    while letters:
        letters = [again for kind, *rest in letters for again in replica.letter(me, kind, *rest)]
    assert replica.in_sync
    return replica


@each
@pytest.mark.parametrize(
    ("replica", "change"), [(counter.Replica, 7), (orders.Orders, ["key", "text"])], ids=["counter", "orders"]
)
def test_copy_does_not_count_what_is_no_letter(replica: Any, change: Any, data: bytes) -> None:
    """In its history or before it: nothing changes, nothing is sent, and what comes next counts."""
    copy = in_sync(replica(ME), ME)
    data = data.replace(b'"history"', json.dumps(copy._history).encode())
    before = (copy.value, copy.count, copy.in_sync)
    assert counter.receive(copy, STRANGER, data) == []
    assert (copy.value, copy.count, copy.in_sync) == before
    for letter in copy.add(change):
        counter.receive(copy, ME, json.dumps(letter).encode())
    assert copy.count == before[1] + 1
    # One that waits for a state, too.
    newcomer = replica(OTHER)
    (question,) = newcomer.view((ME, OTHER), False)
    counter.receive(newcomer, STRANGER, data.replace(b'"t"', json.dumps(question[1]).encode()))
    assert (newcomer.count, newcomer.in_sync) == (0, False)


@pytest.mark.parametrize("number", [2**63 - 1, 1 - 2**63, 0])
def test_sums_of_what_may_be_added_can_be_handed_on(number: int) -> None:
    """Numbers of thousands of digits are refused one by one, because JSON would not take their sum."""
    copy = in_sync(counter.Replica(ME), ME)
    for _ in range(100):
        (letter,) = copy.add(number)
        counter.receive(copy, ME, json.dumps(letter).encode())
    (answer,) = counter.receive(copy, OTHER, json.dumps(["ask", "t"]).encode())
    assert json.loads(json.dumps(answer))[-1] == 100 * number
    assert counter.is_letter(copy, json.loads(json.dumps(answer)))


def test_stranger_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """By its address, however much it sends; another one is told of as well."""
    copy = in_sync(counter.Replica(ME), ME)
    with caplog.at_level(logging.WARNING):
        for data in RUBBISH.values():
            counter.receive(copy, STRANGER, data)
        counter.receive(copy, OTHER, b"rubbish")
    assert [record.getMessage().partition(" ")[0] for record in caplog.records] == [str(STRANGER), str(OTHER)]


@each
@pytest.mark.parametrize("name", ["leader", "ask", "evs_journal"])
def test_nothing_is_opened(name: str, data: bytes, examples: dict[str, ModuleType]) -> None:
    """What none of the program's members has said; it never raises."""
    assert not any(opened(examples[name], data) or ())


@pytest.mark.parametrize("said", [["job", "t", "sweep"], ["question", "who?", "t"], {"id": "t", "text": "entry"}])
def test_what_was_said_is_opened(said: Any, examples: dict[str, ModuleType]) -> None:
    """By the program that says it, and by no other."""
    found = [opened(examples[name], json.dumps(said).encode()) for name in ("leader", "ask", "evs_journal")]
    assert sum(any(one or ()) for one in found) == 1


def opened(module: ModuleType, data: bytes) -> tuple[str, ...] | None:
    """What a program finds in a message."""
    found: tuple[str, ...] | None = (
        module.opened(STRANGER, data) if module.__name__.endswith("ask") else module.opened(data)
    )
    return found


@pytest.fixture(scope="module")
def examples() -> dict[str, ModuleType]:
    """The examples that open what comes."""
    return {name: load(name) for name in ("leader", "ask", "evs_journal", "register", "evs_verify")}


@pytest.mark.parametrize("data", [b"", b"key", b"key ", b" value", b"\xff \xff", b"k \xff"])
def test_write_is_a_key_and_a_value(data: bytes, examples: dict[str, ModuleType]) -> None:
    """The register knows nothing else."""
    assert examples["register"].opened(data) is None
    assert examples["register"].opened(b"key the value") == ("key", "the value")


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 200])
def test_checker_finds_a_strangers_message_damaged(data: bytes, examples: dict[str, ModuleType]) -> None:
    """It says so of that one, and goes on with the others."""
    module = examples["evs_verify"]
    checker = module.Checker()
    for payload in (module.message(1, Guarantee.SAFE), data, module.message(2, Guarantee.SAFE)):
        checker.take(delivery(payload))
    assert checker.wrong == [f"a message of {STRANGER} is damaged"]


def delivery(data: bytes) -> Any:
    """A delivery as far as the checker looks at it."""

    class Delivery:
        sender, guarantee = STRANGER, Guarantee.SAFE

    it = Delivery()
    it.data = data  # type: ignore[attr-defined]
    return it


# -- Services


@asynccontextmanager
async def served(*apps: web.Application) -> AsyncIterator[list[Client]]:
    """Run them all."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(app)) for app in apps]


@with_anyio
@on_asyncio
async def test_orders_stay_equal(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Both go on listing, are ready, and list the same."""
    with MemoryCluster(nodes=3) as cluster:
        async with AsyncExitStack() as stack:
            clients = []
            for node in cluster.nodes[:2]:
                monkeypatch.setenv("AIOCPG_URL", node.url)
                clients.append(await stack.enter_async_context(running(orders.application())))
            stranger = await annoyed(cluster.node(3), "orders")
            for number, client in enumerate(clients):
                answer = await client.post("/orders", data="text", headers={"Idempotency-Key": f"key {number}"})
                assert (await answer.json())["place"] == number + 1
            lists = [await listed(client, 2) for client in clients]
            assert lists == [[["key 0", "text"], ["key 1", "text"]]] * 2
            for client in clients:
                assert (await client.get("/ready")).status == 200
    told = [record.getMessage() for record in caplog.records if record.name == "counter"]
    assert told == [f"{stranger} has sent what is no letter of ours; that is passed over"]


@with_anyio
@on_asyncio
async def test_order_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would not come back as a letter is not sent, and the next order is taken."""
    monkeypatch.setenv("AIOCPG_URL", "memory://orders-too-large")
    async with running(orders.application()) as client:
        for key, text, status in (("a", "x" * 10_001, 413), ("k" * 201, "x", 413), ("b", "x" * 10_000, 200)):
            answer = await client.post("/orders", data=text, headers={"Idempotency-Key": key})
            assert answer.status == status, await answer.text()


@with_anyio
@on_asyncio
async def test_letter_that_cannot_be_sent_keeps_no_other_back(caplog: pytest.LogCaptureFixture) -> None:
    """A list that has grown too large is told in the log."""
    async with aiocpg.connect("memory://orders-unsent") as cpg, cpg.join("orders") as group:
        outbox: asyncio.Queue[Any] = asyncio.Queue()
        counter.post(outbox, [("state", "x" * group.max_message_size), ("ask", "t")])
        sending = asyncio.create_task(orders.send(group, outbox))
        with anyio.fail_after(30):
            message = await anext(group.messages())
        sending.cancel()
    assert json.loads(message.data) == ["ask", "t"]
    assert "too large" in caplog.text


@with_anyio
@on_asyncio
async def test_loss_of_the_daemon_does_not_end_the_sending() -> None:
    """What it meets is not sent again; what comes later is tried."""
    with MemoryCluster(nodes=1) as cluster:
        async with cluster.node(1).connect() as cpg, cpg.join("orders") as group:
            cluster.node(1).kill()
            await until(lambda: group.state == "lost")
            outbox: asyncio.Queue[Any] = asyncio.Queue()
            counter.post(outbox, [("ask", "t"), ("ask", "u")])
            sending = asyncio.create_task(orders.send(group, outbox))
            await until(outbox.empty)
            assert not sending.done()
            sending.cancel()


@with_anyio
@on_asyncio
async def test_dashboards_show_it_as_lines_and_agree() -> None:
    """What a stranger sends is shown under its address, by all alike."""
    with MemoryCluster(nodes=3) as cluster:
        apps = [make_app(name, url=node.url) for name, node in zip("ab", cluster.nodes, strict=False)]
        async with served(*apps) as clients:
            pages = [await client.ws_connect("/events", max_msg_size=0) for client in clients]
            stranger = await annoyed(cluster.node(3), "dashboard")
            await clients[0].post("/messages", json={"id": "7", "lines": ["last"]})
            shown = [await lines(page) for page in pages]
    assert len(shown[0]) == len(RUBBISH) + 1
    assert shown[0] == shown[1]
    assert {name for name, _ in shown[0][:-1]} == {str(stranger)}


@with_anyio
@on_asyncio
async def test_room_shows_it(monkeypatch: pytest.MonkeyPatch, web_service: ModuleType) -> None:
    """The web service's pages get all of it, as text or as bytes."""
    with MemoryCluster(nodes=2) as cluster:
        monkeypatch.setenv("AIOCPG_URL", cluster.node(1).url)
        async with served(web_service.application()) as (client,):
            page = await client.ws_connect("/events", max_msg_size=0)
            await annoyed(cluster.node(2), "room")
            await client.post("/say", data="last")
            told = await read_until(page, lambda told: told.get("payload") == "last")
    assert len([one for one in told if one["type"] == "message"]) == len(RUBBISH) + 1


@pytest.fixture
def web_service() -> ModuleType:
    """The example."""
    return load("web_service")


async def annoyed(node: MemoryNode | ClusterNode, group: str) -> Address:
    """Come into a group, send all the rubbish, and go. Returns who that was."""
    async with node.connect() as cpg, cpg.join(group) as stranger:
        for data in RUBBISH.values():
            await stranger.mcast(data)
        return stranger.me


async def listed(client: Client, count: int) -> Any:
    """What a page lists that opens now, when it has so many orders."""
    async with client.ws_connect("/events") as page:
        while True:
            told = await read(page)
            if told["type"] == "all" and len(told["orders"]) >= count:
                return told["orders"]


async def lines(page: ClientWebSocketResponse) -> list[tuple[str, str]]:
    """Who said what, up to the last."""
    told = await read_until(page, lambda frame: frame.get("text") == "last")
    return [(frame["name"], frame["text"]) for frame in told if frame.get("kind") == "line"]


# -- Programs


@pytest.mark.parametrize(
    ("name", "group", "typed", "answer"),
    [
        ("chat", "chat", "hi", "me: hi"),
        ("counter", "counter", "5", "5 after 1"),
        ("hello", "hello", "", r".* says \[\[\]\]"),
        ("leader", "led", "sweep", "doing sweep"),
        ("register", "register", "colour red", "colour is red"),
        ("worker", "jobs", "sweep", "done sweep"),
    ],
)
def test_program_goes_on(name: str, group: str, typed: str, answer: str, node: ClusterNode, play: Stage) -> None:
    """On a real node; what it is told then it does, and it ends in order."""
    program = play.start(node, name, *(["me"] if name == "chat" else []))
    asyncio.run(joined(node, group))
    asyncio.run(annoyed(node, group))
    if typed:
        program.type(typed)
    program.until_line(answer)
    program.interrupt()


async def joined(node: ClusterNode, group: str) -> None:
    """Wait until somebody is in a group."""
    async with node.connect() as cpg:
        with anyio.fail_after(30):
            while True:
                if await cpg.members(group):
                    return
                await anyio.sleep(0.02)


def test_question_is_answered_among_strangers(node: ClusterNode, play: Stage) -> None:
    """Who answers and who asks both pass over what is neither."""
    server = play.start(node, "ask")
    asyncio.run(joined(node, "questions"))
    asyncio.run(annoyed(node, "questions"))
    asker = play.start(node, "ask", "who is there")
    assert asker.ended() == 0, str(asker)
    assert [line for line in asker.lines if "answers" in line] == [
        f"{server.address} answers: who is there? I am process {server.address[2:]}"
    ]
    assert len([line for line in server.lines if "passed over" in line]) == 1, str(server)
    server.interrupt()


@pytest.mark.usefixtures("local_directory")
def test_journal_goes_on(node: ClusterNode, play: Stage) -> None:
    """In a domain of EVS."""
    url = "local://strangers"

    async def annoy() -> None:
        async with evs.connect(url, domain="journal", groups=["journal"]) as handle:
            for data in RUBBISH.values():
                await handle.mcast_joined(data)

    program = play.start(node, "evs_journal", "--url", url)
    program.until_line(f"members: {program.address}")
    asyncio.run(annoy())
    program.type("one")
    program.until_line("entry one")
    program.close_input()
    assert program.ended() == 0, str(program)
