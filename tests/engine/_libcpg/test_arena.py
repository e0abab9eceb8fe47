"""Draining real events: what they become, where a drain stops, and what happens when memory or stack runs out."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason, RingChange
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.arena import KEEP
from aiocpg.engine._libcpg.binding import Arena, Handle, Status
from aiocpg.testing import ClusterNode
from support.handles import (
    daemon_socket_of,
    drain,
    ended,
    finish,
    heard,
    open_handle,
    open_member,
    python,
    sockets,
    unread_events,
    wait_readable,
    wait_until,
)

ME = Address(1, os.getpid())
PLENTY = 1 << 30

MEMBER = """
import select, sys
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.binding import Arena, Status
handle = binding.initialize(0)
binding.join(handle, sys.argv[1].encode())
fd = binding.fd_get(handle)
select.select([fd], [], [])
assert binding.drain(handle, Arena(), 1, 1)[0] == Status.OK
print("joined", flush=True)
sys.stdin.readline()
"""


def send(handle: Handle, messages: list[bytes]) -> None:
    """Send, and wait until all are back and undrained."""
    before = unread_events(handle)
    for message in messages:
        binding.mcast_joined(handle, 2, [message])
    wait_until(lambda: unread_events(handle) == before + len(messages))


def test_drain_returns_changes_when_members_come_and_go(node: ClusterNode) -> None:
    """A change lists the members sorted, and who came or went and why."""
    with open_member(node, b"change") as handle, ended(python(MEMBER, "change", node=node)) as other:
        heard(other, "joined")
        them = Address(1, other.pid)
        both = tuple(sorted([ME, them]))
        joined = (MemberChange(them, Reason.JOIN),)
        assert drain(handle, Arena(), 1) == [ConfigurationChange(b"change", both, joined, ())]
        other.kill()
        left = (MemberChange(them, Reason.PROCDOWN),)
        assert drain(handle, Arena(), 1) == [ConfigurationChange(b"change", (ME,), (), left)]


def test_drain_returns_the_ring_when_asked_for_at_initialize(node: ClusterNode) -> None:
    """With the flag the ring in force comes right after our own join."""
    with open_handle(node, 1) as handle:
        binding.join(handle, b"ring")
        change, ring = drain(handle, Arena(), 2)
        assert isinstance(change, ConfigurationChange)
        assert isinstance(ring, RingChange)
        assert (ring.ring_id.nodeid, ring.nodes) == (1, (1,))
        assert ring.ring_id.seq > 0


def test_drain_shares_addresses_when_one_member_sends_much(node: ClusterNode) -> None:
    """A thousand messages of a sender cost one address."""
    with open_member(node, b"share") as handle:
        send(handle, [b"a", b"b"])
        _, [(first, _), (second, _)] = binding.drain(handle, Arena(), 9, PLENTY)  # type: ignore[misc]
        assert first is second


def test_drain_names_the_group_when_it_changes(node: ClusterNode) -> None:
    """Each batch says which group its records are of; one arena may serve several handles."""
    arena = Arena()
    with open_member(node, b"first") as first, open_member(node, b"second") as second:
        for handle, name in ((first, b"first"), (second, b"second"), (first, b"first"), (first, b"first")):
            send(handle, [b"x", b"y"])
            assert binding.drain(handle, arena, 9, PLENTY) == (Status.TRY_AGAIN, [(ME, b"x"), (ME, b"y")])
            assert arena.names == [(0, name)]


def test_drain_stops_at_max_events_and_goes_on_without_new_traffic(node: ClusterNode) -> None:
    """The budget ends a drain with OK; the descriptor stays readable until the last event is out."""
    sent = [b"%d" % n for n in range(10)]
    arena = Arena()
    with open_member(node, b"events") as handle:
        send(handle, sent)
        got: list[bytes] = []
        for size in (4, 4, 2):
            wait_readable(handle)
            status, records = binding.drain(handle, arena, 4, PLENTY)
            assert (status, len(records)) == (Status.OK if size == 4 else Status.TRY_AGAIN, size)
            got += [data for _, data in records]  # type: ignore[misc]
        assert got == sent
        assert unread_events(handle) == 0


def test_drain_stops_at_max_bytes_and_goes_on_without_new_traffic(node: ClusterNode) -> None:
    """The event that passes the limit is the last of its batch."""
    arena = Arena()
    with open_member(node, b"bytes") as handle:
        send(handle, [bytes(1000)] * 7)
        sizes = [len(binding.drain(handle, arena, 100, 2500)[1]) for _ in range(4)]
        assert sizes == [3, 3, 1, 0]


def test_drain_stops_at_max_bytes_when_pieces_of_a_large_message_come(node: ClusterNode) -> None:
    """Taking in a piece costs a copy of a MiB, so it counts although nothing is delivered yet."""
    data = os.urandom(3_500_000)
    arena = Arena()
    with open_member(node, b"pieces") as handle:
        binding.mcast_joined(handle, 2, [data])
        batches: list[list[binding.Record]] = []
        while not batches or not batches[-1]:
            wait_readable(handle)
            status, records = binding.drain(handle, arena, 100, 1)
            assert status == Status.OK
            batches.append(records)
        assert batches == [[], [], [], [(ME, data)]]


def test_drain_says_try_again_when_nothing_is_there(node: ClusterNode) -> None:
    """However often it is called: an idle connection is not a broken one."""
    with open_member(node, b"idle") as handle:
        arena = Arena()
        assert {binding.drain(handle, arena, 9, 9)[0] for _ in range(500)} == {Status.TRY_AGAIN}


def test_arena_gives_memory_back_when_a_batch_was_large(node: ClusterNode) -> None:
    """One large message must not cost its memory for ever."""
    data = os.urandom(2 * KEEP)
    arena = Arena()
    with open_member(node, b"give back") as handle:
        binding.mcast_joined(handle, 2, [data])
        assert drain(handle, arena, 1) == [(ME, data)]
        assert arena.size == KEEP


def test_drain_fails_for_good_when_the_limit_is_passed(node: ClusterNode) -> None:
    """What could not be kept leaves a hole: events before it come, nothing after it ever does."""
    arena = Arena(limit=100_000)
    with open_member(node, b"limit") as handle:
        send(handle, [b"before", bytes(200_000), b"after"])
        assert binding.drain(handle, arena, 9, PLENTY) == (Status.OUT_OF_MEMORY, [(ME, b"before")])
        assert binding.drain(handle, arena, 9, PLENTY) == (Status.OUT_OF_MEMORY, [])
        with open_member(node, b"unharmed") as other:
            send(other, [b"x"])
            assert binding.drain(other, arena, 9, PLENTY) == (Status.TRY_AGAIN, [(ME, b"x")])
            assert binding.drain(handle, arena, 9, PLENTY) == (Status.OUT_OF_MEMORY, [])


def test_drain_takes_all_when_the_limit_is_just_met(node: ClusterNode) -> None:
    """The limit is the bytes held, and a drain after it starts empty."""
    arena = Arena(limit=100_000)
    with open_member(node, b"met") as handle:
        for _ in range(3):
            send(handle, [bytes(99_000)])
            assert binding.drain(handle, arena, 9, PLENTY) == (Status.TRY_AGAIN, [(ME, bytes(99_000))])
        assert arena.size == 100_000


# The limit is set when libcpg has room for the whole message already (pieces taken in before it) or not yet.
STARVING = (
    MEMBER
    + """
import resource
size, pieces_before, room = map(int, sys.argv[2:])
binding.mcast_joined(handle, 2, [bytes(size)])
arena = Arena()
for _ in range(pieces_before):
    select.select([fd], [], [])
    assert binding.drain(handle, arena, 1, 1) == (Status.OK, [])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
status = Status.TRY_AGAIN
while status in (Status.OK, Status.TRY_AGAIN):
    select.select([fd], [], [])
    status, records = binding.drain(handle, arena, 100, 1 << 30)
    assert records == []
print(Status(status).name, Status(binding.drain(handle, arena, 1, 1)[0]).name)
"""
)


def test_drain_fails_for_good_when_memory_runs_out(node: ClusterNode) -> None:
    """When the system refuses memory for an event that libcpg has, the handle ends loudly; nothing crashes."""
    with ended(python(STARVING, "starving", "16000000", "1", "6000000", node=node)) as child:
        heard(child, "joined")
        assert finish(child, "\n") == "OUT_OF_MEMORY OUT_OF_MEMORY\n"


def test_drain_says_no_memory_when_libcpg_has_none(node: ClusterNode) -> None:
    """Then it is libcpg that dropped the message, and its status comes through."""
    with ended(python(STARVING, "starved", "16000000", "0", "6000000", node=node)) as child:
        heard(child, "joined")
        assert finish(child, "\n").startswith("NO_MEMORY ")


@pytest.fixture
def small_stacks() -> Iterator[None]:
    """Give new threads 256 KiB of stack, about what musl gives."""
    before = threading.stack_size(256 * 1024)
    yield
    threading.stack_size(before)


def in_thread(function: Callable[[], object]) -> object:
    """Call a function in a new thread."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


NAIVE = """
import threading
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg._load import table
handle = binding.initialize(0)
threading.stack_size(256 * 1024)
thread = threading.Thread(target=lambda: table().dispatch(handle, 4))
thread.start()
thread.join()
"""


def test_drain_refuses_when_the_stack_is_small(node: ClusterNode, small_stacks: None) -> None:
    """libcpg takes 1 MiB of stack and kills the process where there is less; ours is an error and takes nothing."""
    with open_member(node, b"small") as handle:
        send(handle, [b"x"])
        arena = Arena()
        refused: tuple[int, list[binding.Record]] = (Status.STACK_TOO_SMALL, [])
        assert in_thread(lambda: binding.drain(handle, arena, 9, PLENTY)) == refused
        assert in_thread(lambda: binding.dispatch(handle, arena, 4)) == refused
        assert binding.drain(handle, arena, 9, PLENTY) == (Status.TRY_AGAIN, [(ME, b"x")])
    with ended(python(NAIVE, node=node)) as naive:
        assert naive.wait(30) == -signal.SIGSEGV


@pytest.mark.parametrize("mebibytes", [2, 8])
def test_drain_works_when_the_stack_of_a_thread_suffices(node: ClusterNode, mebibytes: int) -> None:
    """Threads with common stacks dispatch."""
    before = threading.stack_size(mebibytes * 1024 * 1024)
    try:
        with open_member(node, b"enough") as handle:
            send(handle, [b"x"])
            assert in_thread(lambda: binding.drain(handle, Arena(), 1, 1)) == (Status.OK, [(ME, b"x")])
    finally:
        threading.stack_size(before)


def test_drain_says_library_when_the_daemon_is_gone(fresh_node: ClusterNode) -> None:
    """The end of the daemon is the end of the connection."""
    with open_member(fresh_node, b"gone") as handle:
        fresh_node.kill()
        fresh_node.wait_gone()
        assert binding.drain(handle, Arena(), 9, PLENTY) == (Status.LIBRARY, [])


def test_drain_says_stuck_when_readable_and_nothing_ever_comes(fresh_node: ClusterNode) -> None:
    """A descriptor that is readable without an event would keep a loop busy for ever; after a while it is an error."""
    before = sockets(fresh_node)
    with open_handle(fresh_node) as handle:
        theirs = daemon_socket_of(fresh_node, before)
        os.write(theirs, b"x")  # one byte promises one event, and there is none
        os.close(theirs)
        arena = Arena()
        statuses = [binding.drain(handle, arena, 9, PLENTY)[0] for _ in range(120)]
        assert statuses == [Status.TRY_AGAIN] * 99 + [Status.STUCK] * 21
