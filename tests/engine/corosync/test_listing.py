"""All groups of the cluster, on a handle of their own."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from aiocpg import Address
from aiocpg.engine.corosync._daemon import Daemon
from aiocpg.engine.corosync._gate import GaveUp
from aiocpg.engine.corosync._listing import list_groups
from aiocpg.engine.corosync._raw import Opener
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.handles import inside, open_member, wait_until

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed


def groups(node: ClusterNode) -> dict[bytes, tuple[Address, ...]]:
    """List the groups that a node knows."""
    return dict(inside(node, lambda: list_groups(Opener(Daemon()))))


def test_every_group_is_listed_with_all_its_members(cluster: CorosyncCluster) -> None:
    """Of all nodes, sorted by address, names as they are."""
    ours = [Address(nodeid, os.getpid()) for nodeid in (1, 2, 3)]
    with ExitStack() as stack:
        for nodeid in (3, 1, 2):
            stack.enter_context(open_member(cluster.node(nodeid), b"all"))
        stack.enter_context(open_member(cluster.node(2), b"crmd\0"))
        for node in cluster.nodes:
            # A node may be a little behind the others, also in seeing who has gone.
            wait_until(lambda node=node: groups(node) == {b"all": tuple(ours), b"crmd\0": (ours[1],)})


def test_more_groups_than_one_answer_are_listed(node: ClusterNode) -> None:
    """Each step of the iteration is a round trip."""
    with ExitStack() as stack:
        for n in range(20):
            stack.enter_context(open_member(node, b"%d" % n))
        wait_until(lambda: groups(node) == {b"%d" % n: (Address(1, os.getpid()),) for n in range(20)})


@pytest.mark.usefixtures("no_leaks")
def test_listing_leaves_no_handle_behind(node: ClusterNode) -> None:
    """Not when it was called back either."""
    wait_until(lambda: groups(node) == {})
    opener = Opener(Daemon())
    opener.give_up()
    with pytest.raises(GaveUp):
        inside(node, lambda: list_groups(opener))
