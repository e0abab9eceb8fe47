"""``aiocpg send``: messages from a shell, each confirmed with its place."""

from __future__ import annotations

import pytest

from aiocpg.testing import ClusterNode
from cli.terminals import records, run


@pytest.mark.parametrize(("arguments", "sent"), [(("hello",), b""), ((), b"hello"), (("-",), b"hello")])
def test_message_is_confirmed_with_its_place(arguments: tuple[str, ...], sent: bytes, node: ClusterNode) -> None:
    """Typed, or read from stdin as a whole."""
    (record,) = records(run(node, "send", "post", *arguments, sent=sent))
    assert record.pop("sender").startswith("1:")
    assert record == {"event": "sent", "group": "post", "position": 1, "bytes": 5, "members": 1}


def test_lines_are_messages_of_their_own(node: ClusterNode) -> None:
    """In their order; an empty one is a message, too."""
    sent = records(run(node, "send", "post", "--lines", sent=b"one\n\nthree"))
    assert [(record["position"], record["bytes"]) for record in sent] == [(1, 3), (2, 0), (3, 5)]


def test_largest_message_is_sent_and_a_larger_one_refused(node: ClusterNode) -> None:
    """Before anything of it is sent; what has no end is not read to its end."""
    (record,) = records(run(node, "send", "post", sent=bytes(1_047_552)))
    assert record["bytes"] == 1_047_552
    done = run(node, "send", "post", sent=bytes(5_000_000))
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"aiocpg: a message has at most 1047552 bytes, this one has more:")
