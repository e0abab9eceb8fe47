"""The send side: order, the window, congestion, fairness, and that a cancelled call has sent nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from types import SimpleNamespace

import anyio
import pytest

from aiocpg import (
    Address,
    ConnectionLostError,
    CPGError,
    Group,
    GroupClosedError,
    Message,
    MessageLostError,
    Receipt,
    RingId,
    View,
)
from aiocpg._group import _sender
from aiocpg._group._sender import Confirmation, Sender
from aiocpg._state.history import Record
from aiocpg._state.sends import OVERHEAD, WINDOW
from aiocpg.engine._base import Listener, Membership
from aiocpg.testing import ClusterNode
from support.loops import BACKENDS
from support.running import Ticker, run_in, stopped, turns, until

pytestmark = pytest.mark.anyio

ME = Address(1, 10)
VIEW = View(b"group", (ME,), {}, {}, RingId(1, 4), 1, 0)


class Engine:
    """
    The other side of a sender, to be told what to do: what no daemon can be made to do at will.

    Attributes:
        taken: What it took, in order.
        is_congested: Whether it takes nothing.
        error: What a send raises.
    """

    name = b"group"
    me = ME
    is_sending_native = False

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.is_congested = False
        self.error: CPGError | None = None
        self.position = 0
        self.sender = Sender(self, lambda: None, lambda: None)

    def listen(self, listener: Listener) -> None:
        """Nothing is ever told."""

    def drain(self) -> Sequence[Record]:
        """Nothing ever comes this way."""
        return ()

    def mcast(self, data: bytes) -> bool:
        """Take, refuse or raise."""
        if self.error is not None:
            raise self.error
        if not self.is_congested:
            self.taken.append(data)
        return not self.is_congested

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        """Take one after the other."""
        return sum(self.mcast(data) for data in messages)

    async def mcast_native(self, data: bytes) -> None:
        """Take."""
        self.mcast(data)

    async def leave(self) -> None:
        """Do nothing."""

    async def aclose(self, *, hard: bool = False) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing."""

    def deliver(self, *messages: bytes) -> None:
        """Own messages come back."""
        for data in messages:
            self.position += 1
            self.sender.delivered([Message(b"group", ME, data, self.position, VIEW)])


@pytest.fixture
def engine(anyio_backend: object) -> Engine:
    """An engine that takes everything and gives nothing back."""
    return Engine()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let one more message through sooner, so that the test is short."""
    monkeypatch.setattr(_sender, "WINDOW_SECONDS", 0.05)


@pytest.fixture
async def group(node: ClusterNode) -> AsyncIterator[Group]:
    """A group at a real daemon."""
    async with node.connect() as cpg, cpg.join("group") as group:
        yield group


def test_engine_above_is_a_membership() -> None:
    """It stands in for our own interface, so it must be one."""
    assert {name for name in vars(Membership) if not name.startswith("_")} - set(dir(Engine)) == set()


# -- Fates


async def confirm(engine: Engine, data: bytes) -> Confirmation:
    """Send a message to be confirmed."""
    confirmation = Confirmation()
    await engine.sender.send(data, confirmation)
    return confirmation


async def test_confirmation_says_where_the_message_came_back(engine: Engine) -> None:
    """Its place among all, with its view."""
    first, second = await confirm(engine, b"a"), await confirm(engine, b"b")
    engine.deliver(b"a", b"b")
    assert await second.wait() == Receipt(2, VIEW)
    assert await first.wait() == Receipt(1, VIEW)


async def test_dropped_message_is_told_when_a_later_one_comes_back(engine: Engine) -> None:
    """A sender's order is kept, so what is missing before it never comes."""
    lost, kept = await confirm(engine, b"lost"), await confirm(engine, b"kept")
    engine.deliver(b"kept")
    with pytest.raises(MessageLostError):
        await lost.wait()
    assert (await kept.wait()).position == 1


async def test_last_of_equal_messages_counts_as_dropped(engine: Engine) -> None:
    """Nothing tells them apart."""
    confirmations = [await confirm(engine, b"same") for _ in range(3)]
    behind = await confirm(engine, b"behind")
    engine.deliver(b"same", b"same", b"behind")
    assert [(await one.wait()).position for one in (*confirmations[:2], behind)] == [1, 2, 3]
    with pytest.raises(MessageLostError):
        await confirmations[2].wait()


async def test_first_fate_of_a_message_counts() -> None:
    """An end that comes behind the delivery takes nothing back."""
    confirmation = Confirmation()
    confirmation.settle(Receipt(1, VIEW))
    confirmation.settle(MessageLostError(b"group"))
    assert await confirmation.wait() == Receipt(1, VIEW)


async def test_end_settles_what_is_out_and_wakes_what_waits(engine: Engine) -> None:
    """Each with its own error: the one went out, the other did not."""
    out = await confirm(engine, b"out")
    engine.is_congested = True
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_raises, GroupClosedError, engine.sender.send, b"waiting")
        tasks.start_soon(_raises, GroupClosedError, engine.sender.send_many, [b"waiting"])
        await turns()
        engine.sender.end(GroupClosedError(b"group"), MessageLostError(b"group"))
    with pytest.raises(MessageLostError):
        await out.wait()
    with pytest.raises(GroupClosedError):
        await engine.sender.send(b"later")


async def _raises(error: type[CPGError], function: Callable[..., object], *arguments: object) -> None:
    with pytest.raises(error):
        await function(*arguments)  # type: ignore[misc] # all of them are coroutine functions


# -- The window


async def test_full_window_waits_for_own_messages_to_come_back(engine: Engine) -> None:
    """768 KiB of ours on their way, not a byte more."""
    size = WINDOW // 4 - OVERHEAD
    messages = [bytes([n]) * size for n in range(5)]
    async with anyio.create_task_group() as tasks:
        for data in messages:
            await turns()
            tasks.start_soon(engine.sender.send, data)
        await turns()
        assert engine.taken == messages[:4]
        engine.deliver(messages[0])
        await turns()
        assert engine.taken == messages


async def test_message_larger_than_the_window_waits_until_it_is_alone(engine: Engine) -> None:
    """Then it goes."""
    large = bytes(WINDOW)
    await engine.sender.send(b"small")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(engine.sender.send, large)
        await turns()
        assert engine.taken == [b"small"]
        engine.deliver(b"small")
    assert engine.taken == [b"small", large]


async def test_window_that_stands_still_lets_one_more_through(engine: Engine, quick: None) -> None:
    """Its return shows that the others were dropped, and they do not block the window for ever."""
    size = WINDOW // 2 - OVERHEAD
    dropped = [await confirm(engine, b"a" * size), await confirm(engine, b"b" * size)]
    await engine.sender.send(b"one more")
    assert engine.taken[2:] == [b"one more"]
    engine.deliver(b"one more")
    for one in dropped:
        with pytest.raises(MessageLostError):
            await one.wait()
    await engine.sender.send_many([b"c" * size, b"d" * size])


async def test_window_that_stands_still_lets_one_of_many_through(engine: Engine, quick: None) -> None:
    """Not a whole batch."""
    await engine.sender.send(bytes(WINDOW))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(engine.sender.send_many, [b"1", b"2", b"3"])
        await until(lambda: len(engine.taken) > 1)
        assert engine.taken[1:] == [b"1"]
        engine.deliver(b"1")
    assert engine.taken[1:] == [b"1", b"2", b"3"]


async def test_sending_in_the_reading_task_never_stops(group: Group) -> None:
    """The window is freed by dispatching, whoever reads: ten windows go out unread."""
    payload = bytes(150_000)
    for _ in range(50):
        await group.mcast(payload)
    assert (await group.mcast_confirmed(payload)).position == 51


# -- Congestion


async def test_congestion_is_waited_for_and_order_is_kept(group: Group, node: ClusterNode) -> None:
    """A stopped daemon takes some 70 requests; the rest goes out when it runs on, first come first served."""
    stream = group.messages()
    sent: list[bytes] = []

    async def send(start: int) -> None:
        for n in range(start, start + 100):
            await group.mcast(b"%d" % n)
            sent.append(b"%d" % n)

    async with anyio.create_task_group() as tasks:
        with stopped(node):
            for start in (0, 1000, 2000):
                tasks.start_soon(send, start)
            await turns(200)
            assert 0 < len(sent) < 300
        await until(lambda: len(sent) == 300)
    got = [(await anext(stream)).data for _ in range(300)]
    assert got == sent


async def test_loop_lives_while_senders_wait(group: Group, node: ClusterNode) -> None:
    """Nothing spins and nothing blocks."""
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        with stopped(node):
            tasks.start_soon(group.mcast_many, [bytes(1000)] * 2000)
            await turns(20)
            tasks.start_soon(ticker.run)
            await until(lambda: ticker.count > 100)
        tasks.cancel_scope.cancel()


async def test_calls_are_served_in_order(engine: Engine) -> None:
    """Whoever comes while others wait, waits behind them."""
    engine.is_congested = True
    async with anyio.create_task_group() as tasks:
        for data in (b"1", b"2"):
            tasks.start_soon(engine.sender.send, data)
            await turns()
        tasks.start_soon(engine.sender.send_many, [b"3", b"4"])
        await turns()
        engine.is_congested = False
        await engine.sender.send(b"5")
    assert engine.taken == [b"1", b"2", b"3", b"4", b"5"]


async def test_error_of_the_engine_reaches_the_caller_and_the_next_ones_turn_comes(engine: Engine) -> None:
    """A failed send does not keep the turn."""
    engine.is_congested = True
    async with anyio.create_task_group() as tasks:
        for data in (b"1", b"2"):
            tasks.start_soon(_raises, ConnectionLostError, engine.sender.send, data)
        await turns()
        engine.error = ConnectionLostError("gone")
        engine.sender.wake()
    await engine.sender.until_idle()
    assert engine.taken == []


# -- Fairness


@pytest.mark.parametrize("many", [False, True])
async def test_sends_that_never_wait_leave_others_a_turn(engine: Engine, many: bool) -> None:
    """At least once in 64 calls."""
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        for _ in range(640):
            await (engine.sender.send_many([b"x"]) if many else engine.sender.send(b"x"))
            engine.deliver(b"x")
        assert ticker.count >= 9
        tasks.cancel_scope.cancel()


async def test_sends_in_a_row_go_on_for_a_moment_before_they_leave_others_a_turn(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn of the loop costs as much as twenty of them. Here each takes a microsecond, on any machine."""
    microseconds = itertools.count()
    now = 0.0
    monkeypatch.setattr(_sender, "time", SimpleNamespace(monotonic=lambda: now))
    ticker = Ticker()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ticker.run)
        for _ in range(50_000):
            now = next(microseconds) / 1e6
            if not engine.sender.send_soon(b"x"):
                await engine.sender.send(b"x")
            engine.deliver(b"x")
            engine.taken.clear()
        assert 40 <= ticker.count <= 60
        tasks.cancel_scope.cancel()


# -- Cancelling


@pytest.mark.parametrize("many", [False, True])
async def test_cancelled_call_has_sent_nothing(engine: Engine, many: bool) -> None:
    """Also where it need not have waited."""
    for _ in range(200):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await (engine.sender.send_many([b"x"]) if many else engine.sender.send(b"x"))
        assert scope.cancelled_caught
    assert engine.taken == []


@pytest.mark.parametrize("way", ["turn", "window", "congestion"])
@pytest.mark.parametrize("wake_first", [True, False])
async def test_call_cancelled_while_it_waits_has_sent_nothing(engine: Engine, way: str, wake_first: bool) -> None:
    """Even where what it waited for came in the same turn of the loop: it either sent and returned, or neither."""
    release = _make_it_wait(engine, way)
    outcome: list[str] = []

    async def send() -> None:
        try:
            await engine.sender.send(b"mine")
        except anyio.get_cancelled_exc_class():
            outcome.append("cancelled")
            raise
        outcome.append("returned")

    async with anyio.create_task_group() as others, anyio.create_task_group() as tasks:
        if way == "turn":
            others.start_soon(engine.sender.send, b"other")
            await turns()
        tasks.start_soon(send)
        await turns()
        for step in (release, tasks.cancel_scope.cancel)[:: 1 if wake_first else -1]:
            step()
    assert outcome == ["returned" if b"mine" in engine.taken else "cancelled"]
    await engine.sender.send(b"next")
    assert engine.taken[-1] == b"next"


def _make_it_wait(engine: Engine, way: str) -> Callable[[], None]:
    if way == "window":
        engine.mcast(b"")
        engine.sender.sent.sent(bytes(WINDOW))
        return lambda: engine.deliver(bytes(WINDOW))
    engine.is_congested = True

    def release() -> None:
        engine.is_congested = False
        engine.sender.wake()

    return release


def test_task_cancelled_the_way_of_asyncio_has_sent_nothing_either() -> None:
    """``Task.cancel`` knows no scopes; it meets the call wherever it waits."""

    async def main() -> None:
        for steps in range(8):
            engine = Engine()
            engine.is_congested = True
            task = asyncio.create_task(engine.sender.send(b"mine"))
            for _ in range(steps):
                await asyncio.sleep(0)
            engine.is_congested = False
            engine.sender.wake()
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert (outcome is None) == (engine.taken == [b"mine"])

    for loop in ("asyncio", "uvloop"):
        run_in(BACKENDS[loop], main)


async def test_cancelled_many_has_sent_a_prefix(group: Group, node: ClusterNode) -> None:
    """In order, without a hole, and the next send stands behind it."""
    stream = group.messages()
    messages = [b"%d" % n for n in range(500)]
    with stopped(node), anyio.move_on_after(0.1) as scope:
        await group.mcast_many(messages)
    assert scope.cancelled_caught
    await group.mcast(b"next")
    got: list[bytes] = []
    while b"next" not in got:
        got.append((await anext(stream)).data)
    assert 0 < len(got) - 1 < 500
    assert got == [*messages[: len(got) - 1], b"next"]


async def test_cancelled_confirmation_gives_up_the_receipt_only(group: Group, node: ClusterNode) -> None:
    """Once taken, the message goes out."""
    stream = group.messages()
    with stopped(node), anyio.move_on_after(0.05) as scope:
        await group.mcast_confirmed(b"out")
    assert scope.cancelled_caught
    assert (await group.mcast_confirmed(b"next")).position == 2
    assert [(await anext(stream)).data for _ in range(2)] == [b"out", b"next"]


async def test_native_send_goes_on_when_it_is_cancelled_and_others_wait_for_it(group: Group, node: ClusterNode) -> None:
    """libcpg allows one sender on a handle, and this one cannot be called back."""
    stream = group.messages()
    large = bytes(2_000_000)
    with stopped(node), anyio.move_on_after(0.05) as scope:
        await group.mcast(large, native=True)
    assert scope.cancelled_caught
    receipt = await group.mcast_confirmed(b"next")
    got = [(await anext(stream)).data for _ in range(receipt.position)]
    assert got in ([large, b"next"], [b"next"])


async def test_idle_is_when_no_call_is_inside(engine: Engine) -> None:
    """Leaving waits for that."""
    engine.is_congested = True
    await engine.sender.until_idle()
    idle = anyio.Event()

    async def wait() -> None:
        await engine.sender.until_idle()
        idle.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(engine.sender.send, b"1")
        tasks.start_soon(engine.sender.send, b"2")
        await turns()
        tasks.start_soon(wait)
        await turns()
        assert not idle.is_set()
        engine.is_congested = False
        engine.sender.wake()
        await idle.wait()
        assert len(engine.taken) == 2


async def test_message_behind_one_that_was_withdrawn_is_timed_from_its_own_send(engine: Engine) -> None:
    """They have one number, and the first one's time is nobody's."""
    engine.error = CPGError("no")
    with pytest.raises(CPGError):
        await engine.sender.send_native(b"large")
    assert not engine.sender.timing.is_running
    engine.error = None
    await engine.sender.send(b"small")
    engine.deliver(b"small")
    assert engine.sender.timing.seconds.snapshot().count == 1


async def test_only_what_was_delivered_is_timed(engine: Engine) -> None:
    """One that is found lost when a later one is back is not; one that comes with the finding is."""
    timing = engine.sender.timing
    for data in b"lost", b"later":
        await engine.sender.send(data)
    engine.deliver(b"later")
    assert (timing.is_running, timing.seconds.snapshot().count) == (False, 0)
    for data in b"first", b"lost", b"last":
        await engine.sender.send(data)
    back = [Message(b"group", ME, data, position, VIEW) for position, data in ((2, b"first"), (3, b"last"))]
    engine.sender.delivered(back)
    assert (engine.sender.sent.lost, timing.seconds.snapshot().count) == (2, 1)


async def test_message_that_was_withdrawn_was_never_counted(engine: Engine) -> None:
    """What was counted cannot be taken back: who looked meanwhile has told others."""
    sent = engine.sender.sent
    await engine.sender.send_native(b"1234")
    assert (sent.total, sent.payload) == (1, 4)
    looked: list[int] = []

    async def refuse(data: bytes) -> None:
        looked.append(sent.total)
        raise CPGError("no")

    engine.mcast_native = refuse  # type: ignore[method-assign]
    with pytest.raises(CPGError):
        await engine.sender.send_native(b"56")
    assert (looked, sent.total, sent.payload) == ([1], 1, 4)
