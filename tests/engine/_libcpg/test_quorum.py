"""libquorum by hand: whether there is a provider, what is told, how a drain ends, and a library of before 3.1."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiocpg import RingId
from aiocpg.engine._libcpg import quorum
from aiocpg.engine._libcpg.binding import Handle
from aiocpg.engine._libcpg.status import Status
from aiocpg.errors import StatusError
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.handles import PATIENCE, daemon_socket_of, finish, inside, python, sockets, wait_until

# libquorum as it was without models: everything but quorum_model_initialize, handed on to the real one.
OLD_LIBRARY = """
#include <dlfcn.h>
#include <stdint.h>
static void *real(const char *name) { return dlsym(dlopen(REAL, RTLD_NOW | RTLD_LOCAL), name); }
#define ONE(name, type) int name(uint64_t h, type a) { return ((int (*)(uint64_t, type))real(#name))(h, a); }
ONE(quorum_fd_get, int *)
ONE(quorum_dispatch, int)
ONE(quorum_trackstart, unsigned)
ONE(quorum_finalize, int)
int quorum_initialize(void *h, void *c, void *t)
{
    return ((int (*)(void *, void *, void *))real("quorum_initialize"))(h, c, t);
}
"""

TELL = """
from aiocpg.engine._libcpg import quorum
from aiocpg.engine._libcpg._load import quorum_table
handle, has_provider = quorum.initialize()
quorum.trackstart(handle)
newest = quorum.Newest()
newest.drain(handle)
print('V1' if quorum_table().model_initialize else 'V0', has_provider, newest.told)
quorum.finalize(handle)
"""


LOAD_FIRST = "import ctypes, sys\nctypes.CDLL(sys.argv[1])\n"
"""The loader knows a library by its soname, so the one that is loaded first is the one that is found."""


@contextlib.contextmanager
def tracking(node: ClusterNode) -> Iterator[Handle]:
    """Have a handle that the daemon tells of the quorum."""
    handle, has_provider = inside(node, quorum.initialize)
    try:
        assert has_provider
        quorum.trackstart(handle)
        yield handle
    finally:
        with contextlib.suppress(StatusError):  # the test may have ended the daemon
            quorum.finalize(handle)


def drained(handle: Handle, newest: quorum.Newest) -> int:
    """Wait until there is something, and drain it."""
    poll = select.poll()
    poll.register(quorum.fd_get(handle), select.POLLIN)
    assert poll.poll(PATIENCE * 1000), "nothing came"
    return newest.drain(handle)


def test_present_state_is_there_when_tracking_has_begun(node: ClusterNode) -> None:
    """Nobody has to wait for the first; then nothing is left."""
    with tracking(node) as handle:
        newest = quorum.Newest()
        assert newest.told is None
        assert newest.drain(handle) == Status.TRY_AGAIN
        assert newest.told is not None
        assert newest.told.is_quorate
        assert newest.told.nodes == (1,)
        assert newest.told.ring_id.nodeid == 1
        assert newest.drain(handle) == Status.TRY_AGAIN


def test_newest_of_several_changes_is_what_counts(cluster: CorosyncCluster) -> None:
    """Those before it are taken with it, in one drain."""
    one = cluster.node(1)
    with tracking(one) as handle:
        cluster.partition({1}, {2, 3})
        one.wait_members(1)
        cluster.heal()
        cluster.wait_formed()
        newest = quorum.Newest()
        wait_until(lambda: newest.drain(handle) == Status.TRY_AGAIN and newest.told and newest.told.nodes == (1, 2, 3))
        assert newest.told
        assert newest.told.is_quorate


def test_drain_stops_at_its_bound(cluster: CorosyncCluster) -> None:
    """A flood of changes would take several turns of the loop."""
    with tracking(cluster.node(1)) as handle:
        newest = quorum.Newest()
        assert newest.drain(handle, 1) == Status.OK
        assert newest.told is None  # the first is the list of nodes, which nobody wants
        assert newest.drain(handle, 1) == Status.OK
        assert newest.told is not None
        assert newest.drain(handle, 1) == Status.TRY_AGAIN


def test_library_says_quorate_where_there_is_no_provider() -> None:
    """Which is why it is asked for the provider; ours answers no to that."""
    with CorosyncCluster(nodes=1, quorum=False) as cluster:
        handle, has_provider = inside(cluster.node(1), quorum.initialize)
        assert not has_provider
        quorum.trackstart(handle)
        newest = quorum.Newest()
        newest.drain(handle)
        assert newest.told == quorum.Told(is_quorate=True, ring_id=RingId(0, 0), nodes=())
        quorum.finalize(handle)


def test_old_library_tells_the_same(node: ClusterNode, tmp_path: Path) -> None:
    """Model V0 has no node in the ring's name; it is the one with the lowest id."""
    quorum.load()
    with open("/proc/self/maps", encoding="utf-8") as maps:
        real = next(line.split(maxsplit=5)[5].strip() for line in maps if "/libquorum.so" in line)
    (tmp_path / "old.c").write_text(OLD_LIBRARY)
    old = tmp_path / "old.so"
    build = ["cc", "-shared", "-fPIC", "-Wl,-soname,libquorum.so.5", f'-DREAL="{real}"', "-o", old, tmp_path / "old.c"]
    subprocess.run(build, check=True)
    new_says = finish(python(TELL, node=node)).split(maxsplit=1)
    old_says = finish(python(LOAD_FIRST + TELL, str(old), node=node)).split(maxsplit=1)
    assert (new_says[0], old_says[0]) == ("V1", "V0")
    assert new_says[1] == old_says[1]
    assert old_says[1].startswith("True Told(is_quorate=True, ring_id=RingId(nodeid=1, ")


def test_drain_says_library_when_the_daemon_is_gone(fresh_node: ClusterNode) -> None:
    """The end of the daemon is the end of the connection, and what was told before is kept."""
    with tracking(fresh_node) as handle:
        newest = quorum.Newest()
        newest.drain(handle)
        fresh_node.kill()
        fresh_node.wait_gone()
        assert drained(handle, newest) == Status.LIBRARY
        assert newest.told is not None


def test_drain_says_stuck_when_readable_and_nothing_ever_comes(fresh_node: ClusterNode) -> None:
    """As with libcpg: a loop would be busy for ever."""
    before = sockets(fresh_node)
    with tracking(fresh_node) as handle:
        theirs = daemon_socket_of(fresh_node, before)
        newest = quorum.Newest()
        newest.drain(handle)
        os.write(theirs, b"x")
        os.close(theirs)
        statuses = [newest.drain(handle) for _ in range(120)]
        assert statuses == [Status.TRY_AGAIN] * 99 + [Status.STUCK] * 21


def test_drain_refuses_when_the_stack_is_small(node: ClusterNode) -> None:
    """libquorum takes as much of it as libcpg."""

    def on_thread(function: Callable[[], int]) -> int:
        results: list[int] = []
        before = threading.stack_size(256 * 1024)
        try:
            thread = threading.Thread(target=lambda: results.append(function()))
            thread.start()
        finally:
            threading.stack_size(before)
        thread.join()
        return results[0]

    with tracking(node) as handle:
        newest = quorum.Newest()
        assert on_thread(lambda: newest.drain(handle)) == Status.STACK_TOO_SMALL
        assert newest.told is None
        assert newest.drain(handle) == Status.TRY_AGAIN
        assert newest.told is not None


def test_finished_handle_is_refused(node: ClusterNode) -> None:
    """By every call, with the status of the library."""
    with tracking(node) as handle:
        quorum.finalize(handle)
        assert quorum.Newest().drain(handle) == Status.BAD_HANDLE
        for call in (quorum.fd_get, quorum.trackstart, quorum.finalize):
            with pytest.raises(StatusError, match=r"quorum_.*CS_ERR_BAD_HANDLE"):
                call(handle)
