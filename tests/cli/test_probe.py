"""The convention of ``aiocpg ping``: what is a question, what its answer, and what neither."""

from __future__ import annotations

import pytest

from aiocpg.cli._probe import Probe, new_question, probe_in


def test_answer_has_the_token_of_its_question() -> None:
    """Else nobody could tell whose answer it is."""
    question = new_question()
    assert probe_in(question.data) == question
    assert probe_in(question.answer) == Probe("pong", question.token)


def test_two_questions_differ() -> None:
    """A late answer must not count for the next round."""
    assert new_question() != new_question()


@pytest.mark.parametrize(
    "data", [b"", b"aiocpg ping 1", b"\0aiocpg ping ", b"\0aiocpg ping 1\n", b"\0aiocpg ping \xff", b"\0aiocpg pang 1"]
)
def test_other_messages_are_no_probes(data: bytes) -> None:
    """Only the exact words count."""
    assert probe_in(data) is None
