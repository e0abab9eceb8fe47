"""What can be done to nodes and their network beyond ending, stopping and cutting, and how all of it is undone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from aiocpg import EngineUnavailableError
from aiocpg.testing import ClusterError, ClusterNode, CorosyncCluster
from support.loops import BACKENDS
from testing.looking import WAIT, joined, output, running

pytestmark = pytest.mark.anyio

NOBODY = 65534
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", [BACKENDS["asyncio"]], ids=["asyncio"])


@pytest.fixture(scope="module")
def cluster() -> Iterator[CorosyncCluster]:
    """Three nodes; each test begins with them whole."""
    with CorosyncCluster(nodes=3, shm_size="32M", extra_uidgid=[NOBODY]) as cluster:
        yield cluster


@pytest.fixture
def whole(cluster: CorosyncCluster) -> CorosyncCluster:
    """The cluster as it was at first."""
    cluster.restore()
    return cluster


def hears(node: ClusterNode, other: ClusterNode, *, within: float = WAIT - 5) -> bool:
    """Whether a datagram gets there from the other one, which sends one after the other until the end."""
    receive = f"""
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    receiver.bind(("", 7777))
    receiver.settimeout({within})
    receiver.recv(1)
"""
    send = f"""
import socket, time
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    while True:
        sender.sendto(b"!", ("10.77.0.{node.nodeid}", 7777))
        print("sending", flush=True)
        time.sleep(0.01)
"""
    with other.spawn([sys.executable, "-c", send], stdout=subprocess.PIPE, text=True) as sender:
        try:
            assert sender.stdout.readline() == "sending\n"
            return node.spawn([sys.executable, "-c", receive], stderr=subprocess.DEVNULL).wait(WAIT) == 0
        finally:
            sender.kill()


# -- The network


def test_a_deaf_node_hears_nothing_of_one_other(whole: CorosyncCluster) -> None:
    """What one sends no longer reaches the other, though the way back is open; heal() makes them one ring again."""
    one, two, three = whole.nodes
    whole.deafen(2, to=1)
    assert not hears(two, one, within=2)
    assert (hears(one, two), hears(two, three), hears(three, one)) == (True, True, True)
    whole.wait_formed({2, 3})
    whole.heal()
    whole.wait_formed()
    assert hears(two, one)
    assert joined(two) == {1, 2, 3}


@pytest.mark.parametrize(("nodeid", "other"), [(1, 1), (1, 4), (0, 1)])
def test_deafness_that_cannot_be_is_refused(whole: CorosyncCluster, nodeid: int, other: int) -> None:
    """It takes two nodes of the cluster's."""
    with pytest.raises(ValueError):
        whole.deafen(nodeid, to=other)


def qdiscs(node: ClusterNode) -> str:
    return output(node, "tc", "qdisc", "show", "dev", "eth0")


def test_a_limited_link_is_limited_until_it_is_freed(whole: CorosyncCluster) -> None:
    """The kernel has the rate that was asked for, the ring holds at a megabit, and each way of undoing undoes it."""
    node = whole.node(2)
    for undo in (lambda: node.limit_rate(None), whole.heal, whole.restore):
        node.limit_rate(1_000_000)
        assert "rate 1Mbit" in qdiscs(node)
        node.limit_rate(2_000_000)
        assert "rate 2Mbit" in qdiscs(node)
        undo()
        assert "noqueue" in qdiscs(node)
    whole.wait_formed()


def test_a_limit_acts_on_what_is_sent(whole: CorosyncCluster) -> None:
    """A hundred packets at 64 kbit/s: some still wait when the sender has long been done with them."""
    node = whole.node(1)
    node.limit_rate(64_000)
    script = """
import socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    for _ in range(100):
        sender.sendto(bytes(1400), ("10.77.0.3", 7))
"""
    node.spawn([sys.executable, "-c", script]).wait(WAIT)
    statistics = output(node, "tc", "-s", "qdisc", "show", "dev", "eth0")
    assert " backlog 0b " not in statistics


def test_a_bad_link_is_refused_with_the_module_it_takes(whole: CorosyncCluster) -> None:
    """Where the kernel has no netem the error names it; where it has, the link is bad until it is healed."""
    node = whole.node(3)
    try:
        node.degrade(delay=0.001, loss=0.01)
    except ClusterError as error:
        said = str(error)
    else:
        said = "`tc` refused: this kernel has sch_netem" if "netem" in qdiscs(node) else ""
    assert "`tc` refused" in said
    assert "sch_netem" in said
    whole.heal()
    assert "noqueue" in qdiscs(node)


# -- /dev/shm and users


@ON_ASYNCIO
async def test_nobody_gets_in_while_dev_shm_is_full(whole: CorosyncCluster) -> None:
    """A client's rings do not fit into what is left; free_shm() makes room."""
    node = whole.node(1)
    node.fill_shm(leave=1 << 20)
    with pytest.raises(EngineUnavailableError, match="no space in /dev/shm"):
        await node.connect()
    node.free_shm()
    async with node.connect() as cpg:
        assert cpg.nodeid == 1


@ON_ASYNCIO
async def test_a_connection_as_another_user_is_let_in_if_that_user_is(whole: CorosyncCluster) -> None:
    """The daemon sees the user that was asked for, and this process stays what it is."""
    async with whole.node(1).connect(uid=NOBODY) as cpg, cpg.join("users") as group:
        await group.mcast_confirmed(b"from nobody")
    with pytest.raises(EngineUnavailableError, match="corosync does not let"):
        await whole.node(1).connect(uid=NOBODY - 1)
    assert os.getresuid() == (0, 0, 0)
    async with whole.node(1).connect():
        pass


def test_a_user_that_is_not_there_cannot_connect() -> None:
    """A user namespace has one user only; the error says where the test can run."""
    with running(
        """
from aiocpg.testing import ClusterError, CorosyncCluster
with CorosyncCluster(nodes=1) as cluster:
    try:
        cluster.node(1).connect(uid=65534)
    except ClusterError as error:
        print(error)
""",
        *["unshare", "--user", "--map-root-user", "--mount", "--net"],
    ) as process:
        said = process.communicate(timeout=WAIT)[0]
    assert said.startswith("there is no uid 65534 in this user namespace: ")


# -- Restoring

FAULTS: dict[str, Callable[[CorosyncCluster], object]] = {
    "nothing": lambda cluster: None,
    "killed": lambda cluster: cluster.node(2).kill(),
    "all killed": lambda cluster: [node.kill() for node in cluster.nodes],
    "stopped": lambda cluster: cluster.node(3).stop(),
    "stopped and lost": lambda cluster: (cluster.node(3).stop(), cluster.wait_formed({1, 2})),
    "left": lambda cluster: (cluster.node(1).terminate(), cluster.node(1).wait_gone()),
    "cut": lambda cluster: cluster.partition({1}, {2}, {3}),
    "cut and parted": lambda cluster: (cluster.partition({1}), cluster.wait_formed({1}, {2, 3})),
    "deaf": lambda cluster: cluster.deafen(1, to=2),
    "full": lambda cluster: cluster.node(1).fill_shm(),
    "everything": lambda cluster: (
        cluster.partition({1}),
        cluster.deafen(3, to=2),
        cluster.node(1).kill(),
        cluster.node(2).stop(),
        cluster.node(3).limit_rate(50_000),
        cluster.node(3).fill_shm(),
    ),
}


@pytest.mark.parametrize("harm", FAULTS.values(), ids=FAULTS.keys())
def test_a_cluster_is_whole_when_restored(cluster: CorosyncCluster, harm: Callable[[CorosyncCluster], object]) -> None:
    """Whatever was done, afterwards all nodes are one ring, and clients get in everywhere."""
    harm(cluster)
    cluster.restore()
    assert [joined(node) for node in cluster.nodes] == [{1, 2, 3}] * 3
    assert [node.spawn(["corosync-cpgtool", "-n"], stdout=-3).wait(WAIT) for node in cluster.nodes] == [0, 0, 0]
    assert all(os.access(f"/proc/{node.pid}", os.F_OK) for node in cluster.nodes)


def test_restoring_what_is_whole_changes_nothing(whole: CorosyncCluster) -> None:
    """The same daemons run on, on the same ring."""
    pids = [node.pid for node in whole.nodes]
    assert any(_leaves_the_logs_alone(whole) for _ in range(3))  # a busy machine may write into one, or lose a token
    assert [node.pid for node in whole.nodes] == pids


def _leaves_the_logs_alone(whole: CorosyncCluster) -> bool:
    before = [node.log for node in whole.nodes]
    whole.restore()
    return [node.log for node in whole.nodes] == before


@ON_ASYNCIO
async def test_what_a_crashed_daemon_left_in_dev_shm_is_removed(whole: CorosyncCluster) -> None:
    """Or else a cluster that many tests crash would run out of it."""
    node = whole.node(2)
    async with node.connect() as cpg:
        old = node.pid
        node.kill()
        assert cpg.nodeid == 2
    await whole.until_restored()
    assert not any(f"qb-{old}-" in name or f"corosync-{old}-" in name for name in node.shm_files())
    assert node.pid not in (None, old)


def test_a_cluster_that_cannot_be_restored_says_so(whole: CorosyncCluster) -> None:
    """There is an end to the wait."""
    whole.node(1).kill()
    with pytest.raises(ClusterError, match="corosync on node 1"):
        whole.restore(timeout=0)
