"""``aiocpg ping``: the order's round trip, who answers, and who does not."""

from __future__ import annotations

from collections.abc import Callable

from aiocpg.testing import ClusterNode
from cli.terminals import Terminal, records, run

Open = Callable[..., Terminal]


def test_own_question_comes_back_where_nobody_else_is(node: ClusterNode) -> None:
    """It is always measurable."""
    asked, summed = records(run(node, "ping", "alone", "--count", "1", "--timeout", "25"))
    assert (asked["event"], asked["round"], summed["event"]) == ("order", 1, "summary")
    assert 0 < asked["ms"] == summed["min"] == summed["mean"] == summed["max"]


def test_members_that_answer_are_told_from_those_that_do_not(node: ClusterNode, terminal: Open) -> None:
    """ping --answer and chat answer; listen is silent, and while it is there the status is 1."""
    answering = terminal(node, "ping", "--answer", "echo")
    chatting, listening = terminal(node, "chat", "echo"), terminal(node, "listen", "echo")
    for one in (chatting, listening):
        one.until_line('"joined"')
    while len(records(run(node, "members", "echo"))[0]["members"]) < 3:
        pass  # an answering member says nothing before it is asked
    # Somebody is silent to the end of each round, which is short; the others may be late for it on a busy machine.
    ping = terminal(node, "ping", "echo", "--count", "2", "--interval", "0", "--timeout", "0.5")
    assert ping.ended() == 1
    assert ("silent", listening.address) in _told(ping)
    assert ("answer", listening.address) not in _told(ping)
    assert _sums(ping)[listening.address] == 0
    assert listening.told() == 0
    # Now a round ends with the last answer.
    ping = terminal(node, "ping", "echo", "--count", "2", "--interval", "0", "--timeout", "30")
    assert ping.ended() == 0
    answers = {("answer", answering.address), ("answer", chatting.address)}
    assert _told(ping) == answers | {("order", ping.address)}
    assert _sums(ping) == {answering.address: 2, chatting.address: 2, ping.address: 2}
    answering.until_line('"answered"', ping.address, count=2)
    assert all('"view"' in line for line in chatting.lines)


def _told(ping: Terminal) -> set[tuple[str, str]]:
    return {(record["event"], record["member"]) for record in ping.records if record["event"] != "summary"}


def _sums(ping: Terminal) -> dict[str, int]:
    return {record["member"]: record["answers"] for record in ping.records if record["event"] == "summary"}


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
