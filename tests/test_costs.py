"""
What a message costs, counted and not timed: calls of Python functions, calls into C, waits, wake-ups.

A bound that fails tells that something was added to the way of every message. Raise it with a reason, or find another
place for what was added.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

import aiocpg
from aiocpg import evs
from aiocpg._group._sender import Sender
from aiocpg._stream import Stream
from aiocpg.engine._libcpg.guard import Guard
from aiocpg.engine._libcpg.status import Status
from aiocpg.evs import Delivery
from aiocpg.testing import ClusterNode, MemoryCluster
from support.loops import Backend
from support.running import PATIENCE

pytestmark = pytest.mark.anyio

TESTS = Path(__file__).parent

MESSAGES = 32
"""Fewer than calls that need not wait before one lets the loop run."""


def calls_of(step: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """Calls of Python functions for each of some steps that need not wait."""
    count = 0

    def note(frame: object, what: str, argument: object) -> None:
        nonlocal count
        count += what == "call"

    coroutines = [step() for _ in range(MESSAGES)]
    sys.setprofile(note)
    try:
        for coroutine in coroutines:
            try:
                coroutine.send(None)
            except StopIteration:
                continue
            raise AssertionError("it waited")
    finally:
        sys.setprofile(None)
    return count / MESSAGES


def counted(monkeypatch: pytest.MonkeyPatch, owner: object, name: str) -> Sequence[Any]:
    """Note what each call of a function of a class or an object returns; the length tells how many there were."""
    calls: list[Any] = []
    original = getattr(owner, name)

    def call(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        calls.append(result)
        return result

    monkeypatch.setattr(owner, name, call)
    return calls


def calls_of_a_look(backend: Backend) -> int:
    """Calls that it takes to see that we are in the loop we belong to: on trio that is asked of trio."""
    return 5 if "trio" in str(backend) else 1


async def test_calls_of_a_send(anyio_backend: Backend) -> None:
    """Of a group, where it need not wait, to where the engine's part begins."""
    with MemoryCluster() as cluster:
        async with aiocpg.connect(cluster.node(1).url) as cpg, cpg.join("group") as group:
            taken = group._pump.membership.mcast
            group._pump.membership.mcast = lambda data: True  # type: ignore[method-assign]
            assert calls_of(lambda: group.mcast(b"x")) < 5 + calls_of_a_look(anyio_backend)
            group._pump.membership.mcast = taken  # type: ignore[method-assign]


async def test_calls_of_a_read(anyio_backend: Backend) -> None:
    """Of what is there."""
    with MemoryCluster() as cluster:
        async with aiocpg.connect(cluster.node(1).url) as cpg, cpg.join("group") as group:
            await group.mcast_many([b"x"] * 2 * MESSAGES)
            await group.mcast_confirmed(b"end")
            messages = group.messages()
            await anext(messages)
            assert calls_of(messages.__anext__) < 3 + calls_of_a_look(anyio_backend)


def test_calls_of_a_message_alone(node: ClusterNode) -> None:
    """
    From the send until the task has it, the reader of the loop and what wakes the task included.

    Each of them costs several times what it costs in a flood, since after each wait the caches are cold.
    """
    assert 20 < float(moving(node, "alone")) < 37


async def test_calls_of_a_send_and_of_a_read_in_a_domain() -> None:
    """Where it need not wait; what is done for a frame is done for all of its messages at once."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, groups=["g"]) as one:
            await anext(one.events())
            assert calls_of(lambda: one.mcast_joined(b"x")) <= 10
            await (await one.mcast_joined(b"end")).delivered()
            stream = one.events()
            await anext(stream)
            assert calls_of(lambda: anext(stream)) <= 8


async def test_calls_for_a_frame_do_not_grow_with_its_messages() -> None:
    """Packing, reading and handing out are a few calls, however many messages there are."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, groups=["g"]) as one:
            await anext(one.events())

            async def frame_of(number: int) -> int:
                count = 0

                def note(frame: object, what: str, argument: object) -> None:
                    nonlocal count
                    count += what == "call"

                tickets = [await one.mcast_joined(b"x") for _ in range(number)]
                sys.setprofile(note)
                try:
                    await tickets[-1].delivered()
                finally:
                    sys.setprofile(None)
                return count

            await frame_of(1)
            few, many = await frame_of(10), await frame_of(1000)
            assert many < 2 * few


async def test_calls_into_c(node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many messages are one call, one message is one call."""
    many = counted(monkeypatch, Guard, "mcast_many")
    async with node.connect() as cpg, cpg.join("group") as group:
        single = counted(monkeypatch, group._pump.membership._handle, "_send")  # type: ignore[attr-defined]
        await group.mcast_many([b"x"] * 1000)
        taking = [taken for taken, _ in many if taken]  # others found the socket full, and tried again
        assert len(taking) <= 1000 / 64 + 10  # it takes 64 at a time
        for _ in range(100):
            await group.mcast(b"x")
        assert single.count(Status.OK) == 100
        with anyio.fail_after(PATIENCE):
            await group.mcast_confirmed(b"end")


async def test_waits_of_many_tasks_that_send(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that wakes because there is room sends several messages, and does not stand in the row for each."""
    waits = counted(monkeypatch, Sender, "send")
    tasks_, each = 64, 200
    with MemoryCluster() as cluster:
        async with aiocpg.connect(cluster.node(1).url) as cpg, cpg.join("group", max_buffered_bytes=1 << 30) as group:

            async def send() -> None:
                for _ in range(each):
                    await group.mcast(b"x")

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    for _ in range(tasks_):
                        tasks.start_soon(send)
                await group.mcast_confirmed(b"end")
    assert len(waits) < tasks_ * each / 8


async def test_wake_ups_of_a_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for a batch, not for a message."""
    waits = counted(monkeypatch, Stream, "_wait")
    with MemoryCluster() as cluster:
        async with aiocpg.connect(cluster.node(1).url) as cpg, cpg.join("group") as group:
            count = 0

            async def read() -> None:
                nonlocal count
                async for message in group.messages():
                    count += 1
                    if message.data == b"end":
                        return

            with anyio.fail_after(PATIENCE):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read)
                    for _ in range(10):
                        await group.mcast_many([b"x"] * 200)
                    await group.mcast(b"end")
    assert count == 2001
    assert len(waits) < count / 20


async def test_waits_of_a_domain() -> None:
    """A thousand messages of one task are a frame or two, and the handle reads them in as many batches."""
    with MemoryCluster() as cluster:
        async with evs.connect(cluster.node(1).url, groups=["g"]) as one:
            await anext(one.events())
            for _ in range(1000):
                await one.mcast_joined(b"x" * 64)
            await (await one.mcast_joined(b"end")).delivered()
            batches = 0
            messages = 0
            while messages < 1001:
                batch = await one.events().receive_batch()
                messages += sum(isinstance(event, Delivery) for event in batch)
                batches += 1
            assert batches <= 2
            assert one.statistics.sent["data"] <= 3


def test_page_faults(node: ClusterNode) -> None:
    """What messages were in is used for the next ones, and not given to the kernel and taken back page by page."""
    # In a process of its own, since any other large block that was ever freed has the same effect.
    assert float(moving(node, "moving", 200_000, 2000)) < 0.5  # where the heap is given back two to eight


def test_system_calls(node: ClusterNode, tmp_path: Path) -> None:
    """Three for a message out and back, which libcpg makes: a byte sent, a look, a byte received."""

    def calls(count: int) -> int:
        file = tmp_path / str(count)
        moving(node, "moving", 64, count, under=("strace", "-f", "-c", "-o", str(file)))
        total = next(line for line in file.read_text().splitlines() if line.endswith(" total"))
        return int(total.split()[3])

    few, many = 1000, 4000
    calls(few)  # what is imported is compiled now
    # Where others use the machine, messages come one by one, and each wakes the loop. That passes.
    found = [(calls(many) - calls(few)) / (2 * (many - few))]
    while found[-1] >= 3.9 and len(found) < 10:
        found.append((calls(many) - calls(few)) / (2 * (many - few)))
    assert found[-1] < 3.9, found


def moving(node: ClusterNode, program: str, *arguments: int, under: Sequence[str] = ()) -> str:
    """Run a program that moves messages, perhaps under another; return what it prints."""
    argv = [*under, sys.executable, "-m", f"support.{program}", *map(str, arguments)]
    process = node.spawn(argv, stdout=subprocess.PIPE, cwd=TESTS, text=True)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    return said
