"""``aiocpg listen``: what happens in a group, as records and as lines."""

from __future__ import annotations

import re
from collections.abc import Callable

from aiocpg.testing import ClusterNode
from cli.terminals import Terminal, records, run

Open = Callable[..., Terminal]


def test_events_come_in_their_order(node: ClusterNode, terminal: Open) -> None:
    """Our own join first, then who comes, what is sent, who goes."""
    listener = terminal(node, "listen", "order")
    listener.until_line('"joined"')
    records(run(node, "send", "order", "--lines", sent=b"one\n\xff\n"))
    listener.until_line("LEAVE")
    own, come, one, two, gone = listener.records
    assert own["joined"] == {listener.address: "JOIN"}
    (other,) = come["joined"]
    assert [one["sender"], one["position"], one["text"]] == [other, 1, "one"]
    assert [two["position"], two["base64"]] == [2, "/w=="]
    assert gone["left"] == {other: "LEAVE"}
    assert own["time"] <= come["time"] <= one["time"] <= two["time"] <= gone["time"]


def test_count_ends_it_after_so_many_messages(node: ClusterNode, terminal: Open) -> None:
    """Joins are not counted, nor are pings; times count from the join when told so."""
    listener = terminal(node, "listen", "count", "--count", "2", "--since-join")
    listener.until_line('"joined"')
    ping = terminal(node, "ping", "count", "--timeout", "60")
    listener.until_line('"message"')  # the question
    assert ping.told() == 0
    records(run(node, "send", "count", "--lines", sent=b"one\ntwo\nthree"))
    assert listener.ended() == 0
    messages = [record for record in listener.records if record["event"] == "message"]
    assert [record.get("text", "ping") for record in messages] == ["ping", "one", "two"]
    assert 0 <= messages[0]["time"] <= messages[1]["time"]


def test_terminal_gets_lines_that_do_it_no_harm(node: ClusterNode, terminal: Open) -> None:
    """What others send is escaped; --json gives records there, too."""
    listener = terminal(node, "listen", "harm", on_terminal=True)
    listener.until_line("joined harm as")
    also = terminal(node, "listen", "harm", "--json", on_terminal=True)
    also.until_line('"joined"')
    records(run(node, "send", "harm", "-", sent=b"\x1b[31mred\nline"))
    line = listener.until_line("red")
    assert re.fullmatch(r"\d\d:\d\d:\d\d \d+:\d+ \\x1b\[31mred\\nline", line)
    also.until_line('"base64"')


def test_lost_daemon_is_told(fresh_node: ClusterNode, terminal: Open) -> None:
    """Status 4, and why."""
    listener = terminal(fresh_node, "listen", "lost")
    listener.until_line('"joined"')
    fresh_node.kill()
    assert listener.ended() == 4
    assert listener.complaint.startswith("aiocpg: connection lost: corosync closed the connection")
