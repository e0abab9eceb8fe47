"""Real clusters: they form, break and heal as told, and nothing of them outlives their owner."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

from aiocpg.testing import ClusterError, CorosyncCluster
from aiocpg.testing._control import find_program
from testing.looking import WAIT, daemon_pid, joined, namespaces, output, running

CS_OK = 1
NOBODY = 65534


@pytest.fixture(scope="module")
def intact() -> Iterator[CorosyncCluster]:
    """Three nodes that no test breaks."""
    with CorosyncCluster(nodes=3, shm_size="64M", extra_uidgid=[NOBODY]) as cluster:
        yield cluster


@pytest.fixture
def cluster() -> Iterator[CorosyncCluster]:
    """Three nodes to do harm to."""
    with CorosyncCluster(nodes=3) as cluster:
        yield cluster


# -- Forming


def test_nodes_are_one_ring_when_started(intact: CorosyncCluster) -> None:
    """start() returns when every daemon knows all the others."""
    assert [joined(node) for node in intact.nodes] == [{1, 2, 3}] * 3
    assert [node.members for node in intact.nodes] == [(1, 2, 3)] * 3


def test_one_node_is_ready_when_started() -> None:
    """A cluster of one node has namespaces of its own as well, and lets CPG clients in."""
    with CorosyncCluster(nodes=1) as cluster:
        node = cluster.node(1)
        assert joined(node) == {1}
        assert node.spawn(["corosync-cpgtool", "-n"], stdout=subprocess.DEVNULL).wait(WAIT) == 0
        assert not set(namespaces(daemon_pid(node))) & set(namespaces(os.getpid()))


def test_nodes_form_over_knet_when_asked() -> None:
    """The transport of production serves, too, and can be cut and healed."""
    with CorosyncCluster(nodes=2, transport="knet") as cluster:
        cluster.partition({1}, {2})
        cluster.wait_formed({1}, {2})
        cluster.heal()
        cluster.wait_formed()
        assert joined(cluster.node(1)) == {1, 2}


def test_clusters_do_not_meet_when_side_by_side(intact: CorosyncCluster) -> None:
    """Two clusters with the same addresses live at once and see their own nodes only."""
    with CorosyncCluster(nodes=2) as other:
        assert [joined(node) for node in other.nodes] == [{1, 2}] * 2
        other.partition({1})
        other.wait_formed({1}, {2})
        assert [joined(node) for node in intact.nodes] == [{1, 2, 3}] * 3


def test_settings_are_what_was_asked_for(intact: CorosyncCluster) -> None:
    """/dev/shm has its size, and a user that was let in gets in."""
    node = intact.node(1)
    assert "65536" in output(node, "df", "-k", "/dev/shm").split()
    assert node.spawn(["corosync-cpgtool", "-n"], user=NOBODY, stdout=subprocess.DEVNULL).wait(WAIT) == 0
    assert node.rss > 1 << 20


# -- Ways in


def test_a_spawned_process_is_inside_its_node(intact: CorosyncCluster) -> None:
    """spawn() gives the pid of the program itself, in the node's namespaces and our working directory."""
    node = intact.node(2)
    process = node.spawn(["cat"], stdin=subprocess.PIPE)
    try:
        assert os.path.samefile(f"/proc/{process.pid}/exe", shutil.which("cat") or "")
        assert namespaces(process.pid) == namespaces(daemon_pid(node))
        assert os.path.samefile(f"/proc/{process.pid}/cwd", os.getcwd())
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_a_spawned_process_is_led_to_its_node(intact: CorosyncCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to where this process was told to connect; an environment that is given is left alone."""
    monkeypatch.setenv("AIOCPG_URL", "local://elsewhere")
    script = ["sh", "-c", "echo $AIOCPG_URL"]
    assert output(intact.node(1), *script) == "corosync://\n"
    given = intact.node(1).spawn(script, env={"AIOCPG_URL": "memory://given"}, stdout=subprocess.PIPE, text=True)
    assert given.communicate(timeout=WAIT)[0] == "memory://given\n"


def test_a_missing_program_is_an_error_in_the_caller(intact: CorosyncCluster) -> None:
    """spawn() raises what Popen raises, where it was called."""
    with pytest.raises(FileNotFoundError):
        intact.node(1).spawn(["/no/such/program"])


def test_a_handle_works_everywhere_when_opened_inside(intact: CorosyncCluster) -> None:
    """cpg_initialize in a thread that entered the node gives a handle of that node to the whole process."""
    libcpg = ctypes.CDLL("libcpg.so.4")
    handle, fd, nodeid = ctypes.c_uint64(), ctypes.c_int(), ctypes.c_uint()
    node = intact.node(3)
    results: list[int] = []

    def initialize() -> None:
        node.enter()
        results.append(libcpg.cpg_initialize(ctypes.byref(handle), None))

    thread = threading.Thread(target=initialize, daemon=True)
    thread.start()
    thread.join(WAIT)
    assert results == [CS_OK]
    try:
        assert libcpg.cpg_local_get(handle, ctypes.byref(nodeid)) == CS_OK
        assert libcpg.cpg_join(handle, ctypes.byref(Name(5, b"order"))) == CS_OK
        assert libcpg.cpg_fd_get(handle, ctypes.byref(fd)) == CS_OK
        assert nodeid.value == 3
        assert select.select([fd.value], [], [], WAIT)[0] == [fd.value]
        assert any("qb-event-cpg" in name for name in node.shm_files())
    finally:
        libcpg.cpg_finalize(handle)


class Name(ctypes.Structure):
    """struct cpg_name"""

    _fields_ = (("length", ctypes.c_uint32), ("value", ctypes.c_char * 128))


def test_the_main_thread_is_kept_out(intact: CorosyncCluster) -> None:
    """enter() cannot be undone, so it refuses the thread that everybody needs."""
    before = os.stat("/proc/thread-self/ns/net").st_ino
    with pytest.raises(RuntimeError):
        intact.node(1).enter()
    assert os.stat("/proc/thread-self/ns/net").st_ino == before


# -- Faults


def test_a_killed_node_comes_back_when_started_again(cluster: CorosyncCluster) -> None:
    """kill() is seen by the others, and start() brings the node into the ring as a new process."""
    node = cluster.node(2)
    first = node.pid
    node.kill()
    node.wait_gone()
    assert node.pid is None
    cluster.wait_formed({1, 3})
    node.start()
    node.wait_ready()
    cluster.wait_formed()
    assert joined(node) == {1, 2, 3}
    assert node.pid not in (None, first)


def test_a_terminated_node_takes_leave(cluster: CorosyncCluster) -> None:
    """terminate() ends the daemon in order."""
    cluster.node(3).terminate()
    cluster.node(3).wait_gone()
    cluster.wait_formed({1, 2})
    assert joined(cluster.node(1)) == {1, 2}
    assert "exiting normally" in cluster.node(3).log


def test_a_running_daemon_is_not_started_twice(intact: CorosyncCluster) -> None:
    """start() says what to do first."""
    with pytest.raises(ClusterError, match="wait_gone"):
        intact.node(1).start()


def test_a_stopped_node_is_lost_and_returns_when_continued(cluster: CorosyncCluster) -> None:
    """stop() makes the node silent without ending it."""
    node = cluster.node(1)
    pid = node.pid
    node.stop()
    cluster.wait_formed({2, 3})
    node.cont()
    cluster.wait_formed()
    assert joined(node) == {1, 2, 3}
    assert node.pid == pid


def test_sides_are_rings_of_their_own_when_partitioned(cluster: CorosyncCluster) -> None:
    """Any cut works, also one that follows another; nodes not named stand together; heal() makes one ring again."""
    cluster.partition({1}, {2, 3})
    cluster.wait_formed({1}, {2, 3})
    assert [joined(node) for node in cluster.nodes] == [{1}, {2, 3}, {2, 3}]
    cluster.partition({2})
    cluster.wait_formed({2}, {1, 3})
    assert [joined(node) for node in cluster.nodes] == [{1, 3}, {2}, {1, 3}]
    cluster.heal()
    cluster.wait_formed()
    assert [joined(node) for node in cluster.nodes] == [{1, 2, 3}] * 3


@pytest.mark.parametrize("call", ["partition", "wait_formed"])
@pytest.mark.parametrize(
    ("sides", "error", "text"),
    [
        (({1}, {1, 2}), ValueError, "node 1 is on two sides"),
        (({4},), ValueError, "there is no node 4: the cluster has 3 nodes"),
        (({1}, {0}), ValueError, "there is no node 0"),
        ((1, 2), TypeError, r"sides are sets of node numbers, as in partition\(\{1\}, \{2, 3\}\), not 1"),
    ],
)
def test_sides_that_cannot_be_are_refused(
    intact: CorosyncCluster, call: str, sides: tuple[set[int], ...], error: type[Exception], text: str
) -> None:
    """At once, by what cuts and by what waits, with the node that is wrong."""
    with pytest.raises(error, match=text):
        getattr(intact, call)(*sides)


def test_a_node_is_not_waited_for_on_a_ring_without_itself(intact: CorosyncCluster) -> None:
    """It would be in vain."""
    with pytest.raises(ValueError, match="node 1 is on no ring without itself"):
        intact.node(1).wait_members(2, 3)


def test_a_dead_node_is_on_no_ring(cluster: CorosyncCluster) -> None:
    """Neither in ``members`` nor for those who wait; they are told which node it is, and not at their timeout's end."""
    node = cluster.node(3)
    node.kill()
    node.wait_gone()
    assert node.members == ()
    with pytest.raises(ClusterError, match="no corosync runs on node 3"):
        cluster.wait_formed()
    with pytest.raises(ClusterError, match="no corosync runs on node 3"):
        node.wait_members(1, 2, 3)


@pytest.mark.parametrize("call", [CorosyncCluster.partition, CorosyncCluster.wait_formed])
def test_a_cluster_that_is_not_running_says_so(call: Callable[[CorosyncCluster], None]) -> None:
    """Before the start, and behind the end."""
    with pytest.raises(ClusterError, match="the cluster is not running"):
        call(CorosyncCluster())


def test_a_daemon_that_cannot_start_shows_its_log() -> None:
    """Waiting for a daemon that ended is over at once, and the error has the reason."""
    with CorosyncCluster(nodes=1) as cluster:
        node = cluster.node(1)
        node.kill()
        node.wait_gone()
        assert node.spawn(["sh", "-c", "echo nonsense > /run/corosync-test/corosync.conf"]).wait(WAIT) == 0
        node.start()
        with pytest.raises(ClusterError, match=r"has ended(?s:.)*parser error"):
            node.wait_ready()


def test_a_cluster_that_does_not_form_shows_all_logs() -> None:
    """A start that takes too long leaves nothing running and tells what each daemon said."""
    cluster = CorosyncCluster(nodes=2)
    with pytest.raises(ClusterError, match=r"log of node 1(?s:.)*log of node 2"):
        cluster.start(timeout=0)
    assert cluster.nodes == ()


def test_a_container_without_rights_is_told_which() -> None:
    """Root alone is not enough where namespaces are forbidden."""
    script = """
from aiocpg.testing import ClusterError, CorosyncCluster
try:
    CorosyncCluster().start()
except ClusterError as error:
    print(error)
"""
    with running(script, "setpriv", "--bounding-set=-sys_admin") as process:
        assert "SYS_ADMIN" in process.communicate(timeout=WAIT)[0]


@pytest.mark.parametrize(
    ("program", "package"), [("corosync", "corosync"), ("corosync-cpgtool", "corosync"), ("ip", "iproute2")]
)
def test_a_missing_program_is_told_with_its_package(program: str, package: str) -> None:
    """The error names what to install. The program is hidden by a mount that its test process has for itself."""
    script = """
from aiocpg.testing import ClusterError, CorosyncCluster
try:
    CorosyncCluster(nodes=1).start()
except ClusterError as error:
    print(error)
"""
    hide = f'mount --bind /dev/null "{os.path.realpath(find_program(program, package))}" && exec "$@"'
    with running(script, "unshare", "--mount", "sh", "-c", hide, "sh") as process:
        said = process.communicate(timeout=WAIT)[0]
    assert said == f"the program `{program}` is not installed: install it, on Debian: apt install {package}\n"
