"""``aiocpg top``: the groups again and again, with rates where it listens."""

from __future__ import annotations

from collections.abc import Callable

from aiocpg.testing import ClusterNode
from cli.terminals import Terminal, records, run

Open = Callable[..., Terminal]


def test_records_count_what_is_sent_in_named_groups(node: ClusterNode, terminal: Open) -> None:
    """And tell the others' members only."""
    other = terminal(node, "listen", "other")
    other.until_line('"joined"')
    top = terminal(node, "top", "counted", "--interval", "0.1")
    top.until_line('"counted"')
    records(run(node, "send", "counted", "--lines", sent=b"ab\ncd"))
    top.until_line('"messages": 2')
    assert top.told() == 0
    last = top.records[-1]
    groups = {group["group"]: group for group in last["groups"]}
    assert (groups["counted"]["messages"], groups["counted"]["bytes"]) == (2, 4)
    assert groups["other"] == {"group": "other", "members": [other.address]}
    assert any(group.get("messages_per_second") for record in top.records for group in record["groups"])
    assert (last["nodeid"], last["nodes"]) == (1, [1])


def test_count_ends_it(node: ClusterNode) -> None:
    """After so many looks."""
    assert [look["event"] for look in records(run(node, "top", "--interval", "0.1", "--count", "2"))] == ["top"] * 2


def test_congestion_shows_while_it_lasts(node: ClusterNode, terminal: Open) -> None:
    """A daemon that does not answer stops no table; stopping it stands in for a ring that is forming."""
    top = terminal(node, "top", "--interval", "0.1")
    top.until_line('"congested_for": 0.0')
    node.stop()
    try:
        top.until(lambda _: top.records[-1]["congested_for"])
    finally:
        node.cont()
    top.until(lambda _: not top.records[-1]["congested_for"])
    assert top.told() == 0


def test_terminal_gets_a_table_that_is_drawn_anew(node: ClusterNode, terminal: Open) -> None:
    """The cursor is given back at the end."""
    top = terminal(node, "top", "table", "--interval", "0.1", on_terminal=True)
    top.until_line("table", top.address)
    assert top.told() == 0
    assert top.lines[0].startswith("node 1, ")
