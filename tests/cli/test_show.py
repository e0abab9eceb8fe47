"""``aiocpg groups``, ``members`` and ``rings``: who and what is there, as it is and as it changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from aiocpg.testing import ClusterNode, CorosyncCluster
from cli.terminals import Terminal, records, run

Open = Callable[..., Terminal]


def test_groups_and_members_are_listed(node: ClusterNode, terminal: Open) -> None:
    """With names that can be typed as they are shown, for whoever asks."""
    listener = terminal(node, "listen", "crmd\\x00")
    listener.until_line('"joined"')
    expected = {"group": "crmd\\x00", "members": [listener.address]}
    assert {"event": "group"} | expected in records(run(node, "groups"))
    assert records(run(node, "members", "crmd\\x00")) == [{"event": "members"} | expected]
    table = terminal(node, "groups", on_terminal=True)
    assert table.ended() == 0
    assert [line.split() for line in table.lines] == [
        ["group", "number", "members"],
        ["crmd\\x00", "1", listener.address],
    ]


def test_group_that_nobody_is_in_is_empty(node: ClusterNode) -> None:
    """Which is no error, and nobody joined to find out."""
    assert records(run(node, "members", "nobody")) == [{"event": "members", "group": "nobody", "members": []}]


def test_watched_members_are_told_as_they_change(node: ClusterNode, terminal: Open) -> None:
    """Who watches is a member."""
    watcher = terminal(node, "members", "seen", "--watch")
    watcher.until_line('"joined"')
    records(run(node, "send", "seen", "x"))
    watcher.until_line("LEAVE")
    assert watcher.told() == 0
    assert [record["event"] for record in watcher.records] == ["view"] * 3
    assert watcher.records[0]["members"] == [watcher.address]


@pytest.mark.corosync(nodes=2)
def test_watched_rings_are_told_as_they_form(corosync_cluster: CorosyncCluster, terminal: Open) -> None:
    """The present one first, and it alone without --watch."""
    first = corosync_cluster.node(1)
    (ring,) = records(run(first, "rings"))
    assert (ring["event"], ring["nodes"]) == ("ring", [1, 2])
    watcher = terminal(first, "rings", "--watch")
    watcher.until_line('"nodes": [1, 2]')
    corosync_cluster.node(2).kill()
    watcher.until_line('"nodes": [1]')
    assert watcher.told() == 0
