"""``aiocpg ping``: the order's round trip, who answers, and who does not."""

from __future__ import annotations

from collections.abc import Callable

from aiocpg.testing import ClusterNode
from cli.terminals import Terminal, records, run

Open = Callable[..., Terminal]


def test_own_question_comes_back_where_nobody_else_is(node: ClusterNode) -> None:
    """It is always measurable."""
    asked, summed = records(run(node, "ping", "alone", "--count", "1"))
    assert (asked["event"], asked["round"], summed["event"]) == ("order", 1, "summary")
    assert 0 < asked["ms"] == summed["min"] == summed["mean"] == summed["max"]


def test_members_that_answer_are_told_from_those_that_do_not(node: ClusterNode, terminal: Open) -> None:
    """ping --answer and chat answer; listen is silent, so the status is 1."""
    answering = terminal(node, "ping", "--answer", "echo")
    chatting, listening = terminal(node, "chat", "echo"), terminal(node, "listen", "echo")
    for one in (chatting, listening):
        one.until_line('"joined"')
    while len(records(run(node, "members", "echo"))[0]["members"]) < 3:
        pass  # an answering member says nothing before it is asked
    ping = terminal(node, "ping", "echo", "--count", "2", "--interval", "0", "--timeout", "0.5")
    assert ping.ended() == 1
    told = {(record["event"], record["member"]) for record in ping.records if record["event"] != "summary"}
    answers = {("answer", answering.address), ("answer", chatting.address)}
    assert told == answers | {("order", ping.address), ("silent", listening.address)}
    sums = {record["member"]: record["answers"] for record in ping.records if record["event"] == "summary"}
    assert sums == {answering.address: 2, chatting.address: 2, ping.address: 2, listening.address: 0}
    answering.until_line('"answered"', ping.address, count=2)
    assert len(chatting.lines) == len([line for line in chatting.lines if '"view"' in line])


def test_interrupt_ends_it_with_the_sums(node: ClusterNode, terminal: Open) -> None:
    """As one knows it from ping."""
    ping = terminal(node, "ping", "sums", "--interval", "0.01", on_terminal=True)
    ping.until_line("came back to us in", count=3)
    assert ping.told() == 0
    assert " min " in ping.lines[-1]


def test_interrupt_in_the_middle_of_a_round_counts_who_has_answered(node: ClusterNode, terminal: Open) -> None:
    """There were never more answers than questions, and who still may answer was not silent."""
    listening = terminal(node, "listen", "middle")
    listening.until_line('"joined"')
    ping = terminal(node, "ping", "middle", "--timeout", "60")
    ping.until_line('"order"')
    assert ping.told() == 0
    (summary,) = [record for record in ping.records if record["event"] == "summary"]
    assert (summary["member"], summary["rounds"], summary["answers"]) == (ping.address, 1, 1)
