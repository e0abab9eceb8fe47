"""Which daemon is meant: equal ways in mean equal daemons, and a thread is led there."""

from __future__ import annotations

from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.handles import inside

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed


def test_own_daemon_is_one_for_all_and_has_no_way_in() -> None:
    """That of this process's namespaces."""
    assert Daemon().key == Daemon(None).key
    Daemon().reach()


def test_daemons_are_equal_when_their_ways_in_are(cluster: CorosyncCluster) -> None:
    """Each look-up of a method makes a new object, and they are still one daemon."""
    one, same, other = (Daemon(cluster.node(nodeid).enter) for nodeid in (1, 1, 2))
    assert one.key == same.key
    assert hash(one.key) == hash(same.key)
    assert one.key != other.key
    assert one.key != Daemon().key


def test_thread_is_taken_to_the_daemon() -> None:
    """By the way in that was given."""
    taken: list[str] = []
    Daemon(lambda: taken.append("there")).reach()
    assert taken == ["there"]


def test_way_into_a_node_leads_there(node: ClusterNode) -> None:
    """A fresh thread finds the node's socket afterwards."""

    def sockets() -> str:
        Daemon(None).reach()
        with open("/proc/thread-self/net/unix") as table:
            return table.read()

    assert "@cpg" in inside(node, sockets)
