"""``aiocpg chat``: two terminals talk, on two nodes of a real cluster."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from aiocpg.testing import ClusterNode, CorosyncCluster
from cli.terminals import Terminal, records, run

Open = Callable[..., Terminal]


@pytest.mark.corosync(nodes=2, token=3_000)
def test_two_terminals_talk_and_see_each_other_die(corosync_cluster: CorosyncCluster, terminal: Open) -> None:
    """What is typed in one is read in the other; kill -9 shows as PROCDOWN there."""
    first = terminal(corosync_cluster.node(1), "chat", "talk", on_terminal=True)
    first.until_line("joined talk as", "with nobody else")
    second = terminal(corosync_cluster.node(2), "chat", "talk", on_terminal=True)
    second.until_line("joined talk as", f"with {first.address}")
    first.until_line(f"+ {second.address} JOIN")
    first.type("who is there?\n")
    second.until_line(f"{first.address} who is there?")
    second.type("me\n")
    first.until_line(f"{second.address} me")
    second.process.kill()
    first.until_line(f"- {second.address} PROCDOWN")
    first.type("\x04")
    assert first.ended() == 0


def test_input_from_a_pipe_is_sent_to_its_end(node: ClusterNode, terminal: Open) -> None:
    """All lines stand before our departure, the last one without an end, too."""
    listener = terminal(node, "listen", "pipe")  # no --count: its own end could come before the chat's
    listener.until_line('"joined"')
    done = run(node, "chat", "pipe", sent=b"\n".join(b"line %d" % number for number in range(500)))
    assert [record["event"] for record in records(done)] == ["view", "view"]
    departure = json.loads(listener.until_line('"LEAVE"'))
    told = listener.records
    texts = [record["text"] for record in told[: told.index(departure)] if record["event"] == "message"]
    assert texts == [f"line {number}" for number in range(500)]


def test_interrupt_leaves_the_group_while_nothing_is_typed(node: ClusterNode, terminal: Open) -> None:
    """The wait for the keyboard neither holds up the end nor makes it a crash."""
    listener = terminal(node, "listen", "quiet")
    listener.until_line('"joined"')
    chat = terminal(node, "chat", "quiet", on_terminal=True)
    chat.until_line("joined")
    chat.type("\x03")
    # Ctrl-C is a signal to the terminal's foreground only, which the test has not made it.
    assert chat.told() == 0
    listener.until_left(chat.address)


def test_line_that_is_too_long_ends_it_with_a_word(node: ClusterNode) -> None:
    """Not with the memory: what has no end is not read to its end."""
    done = run(node, "chat", "long", sent=b"x" * 3_000_000)
    assert done.returncode == 2
    assert done.stderr.startswith(b"aiocpg: a message has at most 1047552 bytes, this one has more:")
