"""Descriptors, timers, calls from threads and the end of the loop: the same on asyncio, uvloop and trio."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from aiocpg._loop import LoopPort, Watch, current_port
from support.loops import BACKENDS, Backend, loop_of
from support.running import in_thread, run_in, turns, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, theirs


class Seen:
    """Callbacks that write down that they were called."""

    def __init__(self) -> None:
        self.readable = 0
        self.writable = 0
        self.errors: list[BaseException] = []

    def watch(self, port: LoopPort, fd: int) -> Watch:
        """Watch a descriptor with these callbacks."""
        return port.watch(fd, self.on_readable, self.on_writable, self.errors.append)

    def on_readable(self) -> None:
        """Count."""
        self.readable += 1

    def on_writable(self) -> None:
        """Count."""
        self.writable += 1


async def test_readable_is_told_again_until_nothing_is_left(pair: tuple[socket.socket, socket.socket]) -> None:
    """Level-triggered: a reader that takes a part is called again without new traffic."""
    ours, theirs = pair
    got: list[bytes] = []
    watch = current_port().watch(ours.fileno(), lambda: got.append(ours.recv(1)), lambda: None, got.append)  # type: ignore[arg-type]
    theirs.send(b"abc")
    await until(lambda: len(got) == 3)
    await turns()
    assert got == [b"a", b"b", b"c"]
    watch.close()


async def test_nothing_is_told_when_the_watch_is_closed(pair: tuple[socket.socket, socket.socket]) -> None:
    """Closing again does nothing, and asking for writability afterwards neither."""
    ours, theirs = pair
    seen = Seen()
    watch = seen.watch(current_port(), ours.fileno())
    await turns()
    watch.want_writable()
    watch.close()
    watch.close()
    watch.want_writable()
    theirs.send(b"x")
    await turns(20)
    assert (seen.readable, seen.writable, seen.errors) == (0, 0, [])


@pytest.mark.usefixtures("no_leaks")
async def test_watch_can_be_closed_in_its_own_callback(pair: tuple[socket.socket, socket.socket]) -> None:
    """That is where a loss is met; the callback is the last."""
    ours, theirs = pair
    seen = Seen()

    def on_readable() -> None:
        seen.on_readable()
        watch.close()

    watch = current_port().watch(ours.fileno(), on_readable, seen.on_writable, seen.errors.append)
    theirs.send(b"never read")
    await until(lambda: seen.readable)
    await turns(20)
    assert (seen.readable, seen.errors) == (1, [])


async def test_descriptor_can_be_watched_again_when_its_watch_is_closed(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Descriptor numbers are used again, and at once."""
    ours, theirs = pair
    first, second = Seen(), Seen()
    first.watch(current_port(), ours.fileno()).close()
    watch = second.watch(current_port(), ours.fileno())
    theirs.send(b"x")
    await until(lambda: second.readable)
    watch.close()
    assert (first.readable, first.errors) == (0, [])


async def test_writable_is_told_once_each_time_it_is_asked_for(pair: tuple[socket.socket, socket.socket]) -> None:
    """A socket is nearly always writable; telling that all the time would keep the loop busy."""
    ours, _ = pair
    seen = Seen()
    watch = seen.watch(current_port(), ours.fileno())
    for asked in (1, 2):
        watch.want_writable()
        watch.want_writable()
        await until(lambda asked=asked: seen.writable == asked)  # type: ignore[misc]
        await turns(20)
        assert seen.writable == asked
    watch.close()


async def test_writable_waits_until_there_is_room(pair: tuple[socket.socket, socket.socket]) -> None:
    """A full socket says so by silence."""
    ours, theirs = pair
    seen = Seen()
    watch = seen.watch(current_port(), ours.fileno())
    with pytest.raises(BlockingIOError):
        while True:
            ours.send(bytes(65536))
    watch.want_writable()
    await turns(20)
    assert seen.writable == 0
    theirs.settimeout(0.1)
    with pytest.raises(TimeoutError):
        while True:
            theirs.recv(1 << 20)
    await until(lambda: seen.writable)
    watch.close()


async def test_error_in_a_callback_goes_to_its_owner(pair: tuple[socket.socket, socket.socket]) -> None:
    """Neither the loop nor trio as a whole ends."""
    ours, theirs = pair
    errors: list[BaseException] = []

    def broken() -> None:
        ours.recv(1)
        raise KeyError("broken")

    watch = current_port().watch(ours.fileno(), broken, lambda: None, errors.append)
    theirs.send(b"x")
    await until(lambda: errors)
    timer = current_port().call_later(0, lambda: int("no"), errors.append)
    await until(lambda: len(errors) == 2)
    timer.cancel()
    watch.close()
    assert [type(error) for error in errors] == [KeyError, ValueError]


async def test_descriptor_that_cannot_be_watched_is_its_owners_trouble(
    pair: tuple[socket.socket, socket.socket], anyio_backend: Backend
) -> None:
    """A second watch, which trio refuses and asyncio takes for the first; the loop goes on either way."""
    seen = [Seen(), Seen()]
    watches = [each.watch(current_port(), pair[0].fileno()) for each in seen]
    await turns()
    errors = [type(error).__name__ for each in seen for error in each.errors]
    assert errors == ["BusyResourceError"] * (loop_of(anyio_backend) == "trio")
    for watch in watches:
        watch.close()


@pytest.mark.usefixtures("no_leaks")
async def test_timer_calls_once_unless_it_is_cancelled() -> None:
    """Cancelling again, or too late, does nothing."""
    called: list[str] = []
    port = current_port()
    late = port.call_later(0.05, lambda: called.append("late"), called.append)  # type: ignore[arg-type]
    never = port.call_later(0.01, lambda: called.append("never"), called.append)  # type: ignore[arg-type]
    never.cancel()
    never.cancel()
    await until(lambda: called)
    late.cancel()
    assert called == ["late"]


async def test_soon_is_the_next_turn_and_not_this_one() -> None:
    """Once, in order; an error goes to its owner."""
    called: list[object] = []
    port = current_port()
    for number in range(3):
        port.call_soon(partial(called.append, number), called.append)
    port.call_soon(lambda: int("no"), lambda error: called.append(type(error)))
    assert called == []
    await until(lambda: len(called) == 4)
    await turns()
    assert called == [0, 1, 2, ValueError]


async def test_signal_wakes_who_waits_for_it() -> None:
    """Once for each wait, again and again; it may be set where nobody waits, repeatedly, and after a cancelled wait."""
    signal = current_port().signal()
    woken: list[str] = []
    signal.set()

    async def wait() -> None:
        for _ in range(2):
            await signal.wait()
            woken.append("woken")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await turns()
        assert woken == []
        for times in (1, 2):
            signal.set()
            signal.set()
            await turns()
            assert len(woken) == times
    with anyio.move_on_after(0.01) as scope:
        await signal.wait()
    assert scope.cancelled_caught
    signal.set()


async def test_timer_that_is_cancelled_when_it_is_due_does_not_call() -> None:
    """Not even where both were due before the loop could go round."""
    called: list[str] = []

    def one() -> None:
        called.append("one")
        timers[1].cancel()

    def other() -> None:
        called.append("other")
        timers[0].cancel()

    timers = [current_port().call_later(0.001, callback, called.append) for callback in (one, other)]
    await turns()
    time.sleep(0.01)  # noqa: ASYNC251 - the loop stands still
    await until(lambda: called)
    await turns()
    assert len(called) == 1


async def test_task_runs_beside_until_it_is_cancelled() -> None:
    """Repeating the cancellation does nothing, and it is no crash."""
    steps: list[object] = []

    async def run() -> None:
        steps.append("begun")
        await anyio.sleep_forever()

    task = current_port().spawn(run, "test", steps.append)
    await until(lambda: steps)
    task.cancel()
    task.cancel()
    await turns()
    assert steps == ["begun"]


async def test_error_of_a_task_goes_to_its_owner() -> None:
    """The loop and everything else in it runs on."""
    error = KeyError("crash")
    crashes: list[BaseException] = []

    async def run() -> None:
        raise error

    current_port().spawn(run, "test", crashes.append)
    await until(lambda: crashes)
    assert crashes == [error]


@pytest.mark.parametrize(
    "anyio_backend", [BACKENDS["asyncio"], BACKENDS["uvloop"]], ids=["asyncio", "uvloop"], scope="function"
)
@pytest.mark.parametrize("has_begun", [True, False], ids=["begun", "not begun"])
async def test_task_that_others_cancel_is_its_owners_trouble(has_begun: bool) -> None:
    """Also where it had not run a single step."""
    told: list[BaseException] = []
    current_port().spawn(anyio.sleep_forever, "victim", told.append)
    if has_begun:
        await turns()
    (victim,) = [task for task in asyncio.all_tasks() if task.get_name() == "aiocpg victim"]
    victim.cancel()
    await until(lambda: told)
    assert isinstance(told[0], asyncio.CancelledError)


async def test_thread_calls_into_the_loop() -> None:
    """The callback runs in the loop, even where the loop had nothing to do."""
    port = current_port()
    called = anyio.Event()
    where: list[bool] = []

    def callback() -> None:
        where.append(port.is_here())
        called.set()

    threading.Thread(target=port.call_from_thread, args=(callback,)).start()
    with anyio.fail_after(30):
        await called.wait()
    assert where == [True]


def test_thread_is_told_when_the_loop_has_ended(anyio_backend: Backend) -> None:
    """Nobody would ever run the callback."""

    async def main() -> LoopPort:
        return current_port()

    port = run_in(anyio_backend, main)
    assert not port.is_here()
    with pytest.raises(RuntimeError):
        port.call_from_thread(lambda: None)


async def test_port_is_here_in_its_loop_only(anyio_backend: Backend) -> None:
    """Not in a thread, and not in another loop that runs there."""
    port = current_port()

    async def other() -> bool:
        return port.is_here()

    assert port.is_here()
    assert not await in_thread(port.is_here)
    assert not await in_thread(lambda: run_in(anyio_backend, other))
    assert port.is_here()


def test_watch_and_timer_may_be_closed_when_the_loop_has_ended(
    anyio_backend: Backend, pair: tuple[socket.socket, socket.socket]
) -> None:
    """Whoever tidies up late is not punished for it."""
    seen = Seen()

    async def main() -> None:
        port = current_port()
        watch = seen.watch(port, pair[0].fileno())
        watch.want_writable()
        kept.extend([watch.close, port.call_later(1000, seen.on_readable, seen.errors.append).cancel])

    kept: list[object] = []
    run_in(anyio_backend, main)
    for close in kept:
        assert callable(close)
        close()
    assert seen.errors == []
