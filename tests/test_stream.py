"""Iterating: waiting, one reader at a time, batches, cancelling, and leaving others a turn."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest

from aiocpg import BusyError, ConnectionLostError, ForkedError, Stream, UsageError, _stream
from aiocpg._state.inbox import Inbox
from aiocpg._stream import Tap
from support.running import Ticker, turns

pytestmark = pytest.mark.anyio


class Source:
    """
    A stream and the inbox behind it.

    Attributes:
        taken: How often somebody was about to take something.
    """

    def __init__(self, usable: Callable[[], None] = lambda: None) -> None:
        self.taken = 0
        self.inbox: Inbox[int] = Inbox(1 << 30, list)
        self.stream: Stream[int] = Stream(self.inbox, "events()", usable, self._count)

    def put(self, *events: int) -> None:
        """Something has come."""
        self.inbox.put(events, len(events))

    def _count(self) -> None:
        self.taken += 1


async def test_reader_waits_for_what_comes() -> None:
    """And gets it in order."""
    source = Source()
    got: list[int] = []

    async def read() -> None:
        async for event in source.stream:
            got.append(event)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await turns()
        assert got == []
        source.put(1, 2)
        await turns()
        assert got == [1, 2]
        source.inbox.end()


async def test_batch_is_all_that_is_there() -> None:
    """At least one event; an empty batch is the end."""
    source = Source()
    batches: list[list[int]] = []

    async def read() -> None:
        while batch := await source.stream.receive_batch():
            batches.append(batch)

    source.put(1, 2)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await turns()
        source.put(3)
        source.put(4, 5)
        await turns()
        source.inbox.end()
    assert batches == [[1, 2], [3, 4, 5]]
    assert await source.stream.receive_batch() == []


async def test_second_reader_is_refused_and_the_first_goes_on() -> None:
    """Both kinds of reading; who would get what is anybody's guess."""
    source = Source()
    got: list[int] = []

    async def read() -> None:
        got.append(await anext(source.stream))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(read)
        await turns()
        with pytest.raises(BusyError, match=r"events\(\)"):
            await anext(source.stream)
        with pytest.raises(BusyError):
            await source.stream.receive_batch()
        source.put(7)
    assert got == [7]


async def test_cancelled_read_loses_nothing() -> None:
    """Also when the event came together with the cancellation."""
    source = Source()
    for put_before_cancelling in (False, True):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anext, source.stream)
            await turns()
            if put_before_cancelling:
                tasks.cancel_scope.cancel()
                source.put(1)
            tasks.cancel_scope.cancel()
    assert await source.stream.receive_batch() == [1]


async def test_cancelled_reader_that_need_not_wait_takes_nothing_at_its_yield() -> None:
    """Once in 64 reads the loop gets a turn, before the event is taken."""
    source = Source()
    source.put(*range(1000))
    got: list[int] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        while True:
            got.append(await anext(source.stream))
    assert len(got) < 64
    assert await anext(source.stream) == len(got)


async def test_reader_that_never_waits_leaves_others_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full buffer must not stop the world."""
    monkeypatch.setattr(_stream, "FAIR_SECONDS", 0)
    monkeypatch.setattr(_stream, "KEEPING_UP", 1 << 30)
    source = Source()
    source.put(*range(6400))
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        for _ in range(6400):
            await anext(source.stream)
        assert ticker.count >= 90
        tasks.cancel_scope.cancel()


async def test_reader_that_is_quick_reads_for_a_moment_before_it_leaves_others_a_turn() -> None:
    """Or it would be slower than what comes."""
    source = Source()
    source.put(*range(100_000))
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        for _ in range(100_000):
            await anext(source.stream)
        assert 3 <= ticker.count < 100_000 / 64 / 2
        tasks.cancel_scope.cancel()


async def test_reader_that_is_slow_keeps_up_with_what_comes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """As much as in each turn of the loop, and a little more, until nothing much is left."""
    monkeypatch.setattr(_stream, "FAIR_SECONDS", 0)
    source = Source()
    source.put(*range(6400))
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        for _ in range(6400 - 1024):
            await anext(source.stream)
        many = ticker.count
        assert 14 <= many <= 22
        for _ in range(1024):
            await anext(source.stream)
        assert ticker.count - many >= 14
        tasks.cancel_scope.cancel()


async def test_reader_of_batches_leaves_others_a_turn_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A feed that is always a step ahead is no reason not to."""
    monkeypatch.setattr(_stream, "FAIR_SECONDS", 0)
    source = Source()
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        for number in range(6400):
            source.put(number)
            assert await source.stream.receive_batch() == [number]
        assert ticker.count >= 90
        tasks.cancel_scope.cancel()


async def test_closing_ends_a_waiting_reader() -> None:
    """It sees the end; what comes later is not kept, and closing again does nothing."""
    source = Source()
    source.put(1)
    async with anyio.create_task_group() as tasks, source.stream as stream:
        assert await stream.receive_batch() == [1]
        tasks.start_soon(_sees_the_end, stream)
        await turns()
        await stream.aclose()
        await stream.aclose()
    source.put(2)
    assert [event async for event in source.stream] == []


async def _sees_the_end(stream: Stream[int]) -> None:
    assert await stream.receive_batch() == []


async def test_error_is_raised_behind_what_had_come() -> None:
    """To a reader that waits and to every one that comes later."""
    source = Source()
    source.put(1)
    source.inbox.end(ConnectionLostError("gone"))
    assert await anext(source.stream) == 1
    for _ in range(2):
        with pytest.raises(ConnectionLostError, match="gone"):
            await anext(source.stream)


async def test_stream_is_refused_where_it_must_not_be_used() -> None:
    """Even if there would be something to take."""

    def refuse() -> None:
        raise ForkedError

    source = Source(refuse)
    source.put(1)
    with pytest.raises(ForkedError):
        await anext(source.stream)
    with pytest.raises(ForkedError):
        await source.stream.receive_batch()
    assert source.taken == 0
    await source.stream.aclose()  # in a forked child closing does nothing


async def test_closing_is_refused_in_another_loop() -> None:
    """It would wake a reader there."""

    def refuse() -> None:
        raise UsageError("elsewhere")

    source = Source(refuse)
    with pytest.raises(UsageError, match="elsewhere"):
        await source.stream.aclose()
    assert not source.inbox.has_something


async def test_taking_is_told_not_waiting() -> None:
    """The hub keeps everything for the first readers until one of them takes something."""
    source = Source()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anext(source.stream)
    assert source.taken == 0
    source.put(1)
    await anext(source.stream)
    assert source.taken == 1


# -- Read by callbacks


async def test_tap_tells_in_the_very_turn_in_which_something_comes() -> None:
    """Each time, also where what came before was not taken; taking is told as another reader's is."""
    source = Source()
    got: list[list[int]] = []
    is_taken = True

    def arrived() -> None:
        got.append(tap.take() if is_taken else [])

    tap: Tap[int] = Tap(source.stream, arrived)
    assert source.taken == 1
    source.put(1, 2)
    assert got == [[1, 2]]
    is_taken = False
    source.put(3)
    assert tap.has_something
    is_taken = True
    source.put(4)
    assert got == [[1, 2], [], [3, 4]]
    assert not tap.has_something


async def test_tap_tells_of_the_end_and_of_errors() -> None:
    """Behind what had come."""
    source = Source()
    told: list[str] = []
    tap: Tap[int] = Tap(source.stream, lambda: told.append("something"))
    source.put(1)
    source.inbox.end(ConnectionLostError("for the test"))
    assert told == ["something"] * 2
    assert tap.take() == [1]
    assert tap.has_something
    with pytest.raises(ConnectionLostError):
        tap.take()


async def test_closed_tap_tells_nothing_and_keeps_nothing() -> None:
    """Repeating does nothing."""
    source = Source()
    told: list[str] = []
    tap: Tap[int] = Tap(source.stream, lambda: told.append("something"))
    tap.close()
    tap.close()
    source.put(1)
    assert (told, tap.has_something) == ([], False)
