"""The stream is told once, in order; what is missing is told; readers that lag are cut and nobody waits for them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import aiocpg
from aiocpg.aiohttp import _words as words
from aiocpg.aiohttp import encode_json
from aiocpg.aiohttp._backlog import Backlog, Frame
from aiocpg.aiohttp._feed import Feed
from aiocpg.testing import MemoryCluster
from support.running import PATIENCE, until
from support.web import fresh_world

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


class Reader:
    """Takes note of what a feed does with it, and reads nothing."""

    def __init__(self, place: int) -> None:
        self.place = place
        self.woken = 0
        self.verdicts: list[words.Verdict] = []

    def wake(self) -> None:
        self.woken += 1

    def cut(self, verdict: words.Verdict) -> bool:
        self.verdicts.append(verdict)
        return len(self.verdicts) == 1

    def finish(self, verdict: words.Verdict) -> None:
        self.verdicts.append(verdict)


def text_feed(
    max_bytes: int = 10_000,
    encode: Callable[[Any, str], str | bytes | None] = lambda item, id: f"{item}",
    snapshot: Callable[[], str | bytes | None] | None = None,
) -> Feed[Any]:
    """A feed that tells items as they are."""
    return Feed(encode, snapshot, Backlog(max_bytes))


def told(feed: Feed[Any]) -> list[str]:
    """All that is kept, as text."""
    frames = [feed.backlog.at(number) for number in range(feed.backlog.oldest, feed.backlog.next)]
    return [kept.data.decode() for kept in frames if kept is not None]


def of(*items: object) -> Callable[[aiocpg.Group], AsyncIterator[Any]]:
    """A source of these items; an error among them is raised there."""

    async def source(group: aiocpg.Group) -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    return source


@pytest.fixture
async def group() -> AsyncIterator[aiocpg.Group]:
    """A group of the memory engine, as the sources here need none."""
    async with aiocpg.connect(fresh_world()) as cpg, cpg.join("orders") as group:
        yield group


def fields(opening: list[Frame]) -> list[Any]:
    """What a reader is greeted with."""
    return [json.loads(one.data) for one in opening]


async def test_items_are_encoded_once_with_the_id_they_will_have(group: aiocpg.Group) -> None:
    """However many readers there are; what becomes None is told to nobody and has no id."""
    encoded = []

    def encode(item: int, id: str) -> str | None:
        encoded.append((item, id))
        return None if item == 2 else f"{item}"

    feed = text_feed(encode=encode)
    feed.readers |= {Reader(1), Reader(1)}
    await feed.read(group, of(1, 2, 3))
    ids = [feed.backlog.id_of(number) for number in (1, 2, 2)]
    assert encoded == list(zip([1, 2, 3], ids, strict=True))
    assert told(feed)[:2] == ["1", "3"]


async def test_readers_are_woken_by_each_item(group: aiocpg.Group) -> None:
    """Two items, and the last word."""
    feed, reader = text_feed(), Reader(1)
    feed.readers.add(reader)
    await feed.read(group, of("a", "b"))
    assert reader.woken == 3


async def test_reader_whose_frame_is_gone_is_cut_and_counted_once(group: aiocpg.Group) -> None:
    """A reader at the end of the same backlog is not."""
    feed, slow = text_feed(max_bytes=1000), Reader(1)
    quick = Reader(10)
    feed.readers |= {slow, quick}
    await feed.read(group, of(*["x" * 300] * 9))
    assert words.SLOW in slow.verdicts
    assert words.SLOW not in quick.verdicts
    assert feed.cut_off == 1


async def test_end_of_the_group_is_told_and_finishes_readers(group: aiocpg.Group) -> None:
    """A group that this side has left: nothing comes, and no error either."""
    feed, reader = text_feed(), Reader(1)
    feed.readers.add(reader)
    await feed.read(group, of("a"))
    last = json.loads(told(feed)[-1])
    assert (last["type"], last["error"]) == ("end", None)
    assert reader.verdicts == [words.LEFT] == [feed.verdict]


async def test_error_is_told_and_finishes_readers(group: aiocpg.Group) -> None:
    """A lost connection, a lost membership: the class and the text of what was raised."""
    feed, reader = text_feed(), Reader(1)
    feed.readers.add(reader)
    await feed.read(group, of("a", aiocpg.MembershipLostError(b"orders", "LEAVE")))
    assert json.loads(told(feed)[-1])["error"] == "MembershipLostError"
    assert reader.verdicts == [words.LOST]


async def test_fault_of_the_encoder_is_told_and_raised(group: aiocpg.Group) -> None:
    """Browsers learn that it is over, not what our user's code said; whoever awaits the reading gets it."""

    def encode(item: int, id: str) -> str:
        return f"{1 // item}"

    feed, reader = text_feed(encode=encode), Reader(1)
    feed.readers.add(reader)
    with pytest.raises(ZeroDivisionError):
        await feed.read(group, of(1, 0))
    assert "fault in this instance" in json.loads(told(feed)[-1])["reason"]
    assert reader.verdicts == [words.LOST]


async def test_lag_of_the_instance_is_told_as_a_gap_and_reading_goes_on(group: aiocpg.Group) -> None:
    """The source is called again, and goes on with what comes now."""
    calls = [of("a", aiocpg.SlowConsumerError(7, 1000)), of("b")]

    def source(group: aiocpg.Group) -> AsyncIterator[str]:
        return calls.pop(0)(group)

    feed = text_feed()
    await feed.read(group, source)
    first, gap, second, _ = told(feed)
    assert (first, second) == ("a", "b")
    assert json.loads(gap) == {
        "type": "gap",
        "lost": 7,
        "reason": f"this instance was too slow: {aiocpg.SlowConsumerError(7, 1000)}",
        "id": feed.backlog.id_of(2),
    }


async def test_lag_of_a_real_stream_is_told(group: aiocpg.Group) -> None:
    """A stream that fills up between two reads: what was kept, the gap, the membership in force, what comes."""
    feed: Feed[aiocpg.Event] = Feed(encode_json, None, Backlog(100_000))
    first = group.events(max_buffered_bytes=3000)
    await group.mcast_many([b"old"] * 50)
    await group.mcast_confirmed(b"old")
    streams = [first]

    async def source(group: aiocpg.Group) -> AsyncIterator[aiocpg.Event]:
        stream, is_second = (streams.pop(), False) if streams else (group.events(), True)
        async for event in stream:
            yield event
            if is_second and isinstance(event, aiocpg.View) and group.me in event.members:
                await group.mcast_confirmed(b"new")
                await group.leave()

    await feed.read(group, source)
    kinds = [json.loads(one)["type"] for one in told(feed)]
    gap = kinds.index("gap")
    assert kinds[gap + 1 :] == ["view", "message", "view", "end"]
    kept = kinds[:gap].count("message")
    lost = json.loads(told(feed)[gap])["lost"]
    assert kept + lost == 51
    assert kept > 0


async def test_daemon_that_was_away_is_told_as_a_gap_and_reading_goes_on() -> None:
    """A stream of messages raises it; with a way back it is not the end, however often."""
    feed: Feed[aiocpg.Message] = Feed(encode_json, None, Backlog(100_000))
    with MemoryCluster(nodes=1) as cluster:
        node = cluster.node(1)
        async with (
            node.connect(reconnect=aiocpg.Reconnect(first_pause=0.01)) as cpg,
            anyio.create_task_group() as tasks,
        ):
            group = await cpg.join("orders")
            tasks.start_soon(feed.read, group, lambda group: group.messages())
            for text in ("one", "two", "three"):
                await group.mcast_confirmed(text.encode())
                await until(lambda text=text: payload_of(feed) == text)
                node.kill()
                await until(lambda: not cpg.health.is_connected)
                node.start()
                await until(lambda: cpg.health.is_connected)
            await group.mcast_confirmed(b"four")
            await group.leave()
    kinds = [json.loads(one)["type"] for one in told(feed)]
    assert kinds == [*["message", "gap"] * 3, "message", "end"]
    assert feed.verdict == words.LEFT


def payload_of(feed: Feed[Any]) -> object:
    """What the newest frame says of a message."""
    newest = told(feed)[-1:]
    return json.loads(newest[0]).get("payload") if newest else None


async def test_loss_that_is_not_of_the_group_is_the_end(group: aiocpg.Group) -> None:
    """A source that reads something else as well would raise it again and again."""
    feed = text_feed()
    with anyio.fail_after(PATIENCE):
        await feed.read(group, of(aiocpg.ConnectionLostError("another one")))
    assert [json.loads(one)["type"] for one in told(feed)] == ["gap", "end"]
    assert feed.verdict == words.LOST


async def test_new_reader_is_greeted_with_how_things_stand(group: aiocpg.Group) -> None:
    """The view in force comes from what was told, not from what is on its way."""
    feed: Feed[aiocpg.Event] = Feed(encode_json, lambda: '{"type":"state"}', Backlog(10_000))
    events = [event async for event in _events_until_view(group)]
    await feed.read(group, of(*events))
    place, opening = feed.opening(group, None)
    hello, state, end = fields(opening)
    assert place == feed.backlog.next
    assert hello["view"]["members"] == [str(group.me)]
    assert (hello["continues"], hello["daemon"], hello["me"]) == (False, "here", str(group.me))
    assert hello["id"] == feed.backlog.last_id
    assert state == {"type": "state"}
    assert end["type"] == "end"


async def _events_until_view(group: aiocpg.Group) -> AsyncIterator[aiocpg.Event]:
    async for event in group.events():
        yield event
        if isinstance(event, aiocpg.View):
            return


async def test_reader_that_goes_on_gets_no_snapshot(group: aiocpg.Group) -> None:
    """It has the state of that place; its next id must not skip what it has still to get."""
    feed = text_feed(snapshot=lambda: "state")
    await feed.read(group, of("a", "b"))
    had = feed.backlog.id_of(1)
    place, opening = feed.opening(group, had)
    assert place == 2
    (hello,) = fields(opening)
    assert (hello["continues"], hello["id"], hello["view"]) == (True, had, None)


async def test_reader_that_cannot_go_on_is_told_of_the_gap(group: aiocpg.Group) -> None:
    """Then it begins as a new one does."""
    feed = text_feed(snapshot=lambda: '"state"')
    await feed.read(group, of("a"))
    place, opening = feed.opening(group, "another-1")
    hello, gap, state, _ = fields(opening)
    assert place == feed.backlog.next
    assert (hello["continues"], gap["type"], gap["reason"], gap["lost"]) == (False, "gap", words.NOT_KEPT, None)
    assert state == "state"


async def test_others_get_their_turn_while_much_is_told(group: aiocpg.Group) -> None:
    """A source that never waits would otherwise fill the backlog before anybody could send."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while feed.verdict is None:
            turns += 1
            await anyio.lowlevel.checkpoint()

    feed = text_feed(max_bytes=10**6)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(count)
        await feed.read(group, of(*["x" * 10_000] * 70))
    assert turns >= 10
