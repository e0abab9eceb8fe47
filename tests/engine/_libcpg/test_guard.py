"""Guarded sends on a real daemon: never a spin, never a wait, whatever the daemon does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg._events import Address
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.binding import Arena, Guard, Handle, Status
from aiocpg.engine._libcpg.guard import COPIED
from aiocpg.errors import StatusError
from aiocpg.testing import ClusterNode
from support.handles import drain, ended, finish, heard, open_member, python, wait_until

ME = Address(1, os.getpid())


@pytest.fixture
def member(node: ClusterNode) -> Iterator[Handle]:
    """A handle that has joined a group."""
    with open_member(node, b"guard") as handle:
        yield handle


def guard_of(handle: Handle) -> Guard:
    """Return a fresh guard."""
    return Guard(handle, binding.fd_get(handle))


def test_mcast_delivers_what_it_took(member: Handle) -> None:
    """Messages of 0 bytes and of the most that is atomic arrive as they were."""
    guard = guard_of(member)
    messages = [b"", b"x", os.urandom(guard.max_size)]
    for data in messages:
        assert guard.mcast(data) == Status.OK
        assert drain(member, Arena(), 1) == [(ME, data)]


def test_mcast_refuses_when_the_message_is_too_big(member: Handle) -> None:
    """libcpg would send it in pieces and block for each."""
    guard = guard_of(member)
    assert guard.max_size == binding.max_atomic_msgsize_get(member)
    assert guard.mcast(bytes(guard.max_size + 1)) == Status.TOO_BIG
    for small in (b"x", b"x" * COPIED):
        assert guard.mcast_many([small, bytes(guard.max_size + 1), b"y"]) == (1, Status.TOO_BIG)
        assert drain(member, Arena(), 1) == [(ME, small)]
    assert guard.mcast(b"x") == Status.OK
    assert drain(member, Arena(), 1) == [(ME, b"x")]


@pytest.mark.parametrize("times", [1, 2000])
def test_mcast_many_sends_all_in_order(member: Handle, times: int) -> None:
    """Many messages, empty ones among them; small ones in one call, large ones without a copy."""
    messages = [b"%d" % n * (n % 7) * times for n in range(60)]
    assert (sum(map(len, messages)) > COPIED * 60) == (times > 1)
    assert guard_of(member).mcast_many(messages) == (60, Status.OK)
    assert drain(member, Arena(), 60) == [(ME, data) for data in messages]
    assert guard_of(member).mcast_many([]) == (0, Status.OK)


def test_mcast_many_says_how_many_when_the_ring_is_full(fresh_node: ClusterNode) -> None:
    """It stops at the first that is not taken, so the rest can follow in order."""
    messages = [bytes([n]) * 300_000 for n in range(5)]
    with open_member(fresh_node, b"full") as handle:
        fresh_node.stop()
        guard = guard_of(handle)
        assert guard.mcast_many(messages) == (3, Status.TRY_AGAIN)
        assert guard.mcast_many(messages[3:]) == (0, Status.TRY_AGAIN)
        fresh_node.cont()
        rest = messages[3:]
        while rest:
            taken, _ = guard.mcast_many(rest)
            rest = rest[taken:]
        assert drain(handle, Arena(), 5) == [(ME, data) for data in messages]


def test_guard_looks_more_often_when_the_send_buffer_is_small(member: Handle) -> None:
    """64 sends at most between two looks, fewer where the socket holds fewer."""
    assert Guard(member, binding.fd_get(member))._guard.grant == 64
    with open("/dev/null", "rb") as no_socket:
        assert Guard(member, no_socket.fileno())._guard.grant == 1


# Joins, says so, waits for a line, sends as fast as it can, and counts the answers.
SENDER = """
import collections, select, socket, sys
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.binding import Arena, Guard, Status
handle = binding.initialize(0)
binding.join(handle, b"stopped")
fd = binding.fd_get(handle)
select.select([fd], [], [])
assert binding.drain(handle, Arena(), 1, 1)[0] == Status.OK
if sys.argv[1] != "0":
    duplicate = socket.socket(fileno=__import__("os").dup(fd))
    duplicate.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, int(sys.argv[1]))
    duplicate.close()
guard = Guard(handle, fd)
print("joined", flush=True)
sys.stdin.readline()
"""
GUARDED = (
    SENDER
    + """
for _ in range(5000):
    guard.mcast(b"x")
counted = collections.Counter(guard.mcast(b"x") for _ in range(5000))
many = guard.mcast_many([b"x"] * 5000)
print({Status(status).name for status in counted}, many[0], Status(many[1]).name)
"""
)
NAIVE = (
    SENDER
    + """
print("sending", flush=True)
for _ in range(5000):
    binding.mcast_joined(handle, 2, [b"x"])
"""
)


@pytest.mark.parametrize("send_buffer", [0, 2304, 20_000])
def test_mcast_says_not_writable_when_the_daemon_is_stopped(fresh_node: ClusterNode, send_buffer: int) -> None:
    """Thousands of sends to a daemon that reads nothing end at once, whatever the size of the socket's buffer."""
    with ended(python(GUARDED, str(send_buffer), node=fresh_node)) as child:
        heard(child, "joined")
        fresh_node.stop()
        assert finish(child, "\n") == "{'NOT_WRITABLE'} 0 NOT_WRITABLE\n"
        fresh_node.cont()


def test_mcast_spins_for_ever_when_not_guarded(fresh_node: ClusterNode) -> None:
    """Why there is a guard: the plain call burns a CPU inside C as long as the daemon is stopped."""
    with ended(python(NAIVE, "0", node=fresh_node)) as child:
        heard(child, "joined")
        fresh_node.stop()
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
        heard(child, "sending")
        start = cpu_ticks(child.pid)
        wait_until(lambda: cpu_ticks(child.pid) > start + os.sysconf("SC_CLK_TCK"))
        assert child.poll() is None
        fresh_node.cont()


def cpu_ticks(pid: int) -> int:
    """Return the CPU time of a process, in the kernel's ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_mcast_goes_on_when_the_daemon_does(fresh_node: ClusterNode) -> None:
    """What was taken while it stood still arrives, once, in order."""
    with open_member(fresh_node, b"resume") as handle:
        guard = guard_of(handle)
        fresh_node.stop()
        taken = 0
        while guard.mcast(b"%d" % taken) == Status.OK:
            taken += 1
        assert 0 < taken <= 64 + 70
        fresh_node.cont()
        assert drain(handle, Arena(), taken) == [(ME, b"%d" % n) for n in range(taken)]
        wait_until(lambda: guard.mcast(b"more") == Status.OK)
        assert drain(handle, Arena(), 1) == [(ME, b"more")]


def test_mcast_says_hung_up_when_the_daemon_died_with_a_full_ring(fresh_node: ClusterNode) -> None:
    """The plain call says TRY_AGAIN for ever then, out of memory that the daemon left behind."""
    with open_member(fresh_node, b"died") as handle:
        guard = guard_of(handle)
        fresh_node.stop()
        while guard.mcast(bytes(250_000)) == Status.OK:
            pass
        fresh_node.kill()
        fresh_node.wait_gone()
        for _ in range(20):
            with pytest.raises(StatusError, match="TRY_AGAIN"):
                binding.mcast_joined(handle, 2, [bytes(250_000)])
        assert {guard.mcast(bytes(250_000)) for _ in range(20)} == {Status.HUNG_UP}
        assert guard.mcast_many([b"x"]) == (0, Status.HUNG_UP)


def test_mcast_says_bad_handle_when_the_descriptor_is_closed(member: Handle) -> None:
    """A guard that outlives its descriptor sends nothing."""
    copy = os.dup(binding.fd_get(member))
    guard = Guard(member, copy)
    os.close(copy)
    assert guard.mcast(b"x") == Status.BAD_HANDLE
