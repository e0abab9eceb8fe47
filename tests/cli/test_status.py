"""Which status an error becomes, and what is said of it."""

from __future__ import annotations

import pytest

import aiocpg
from aiocpg.cli._status import after_error, culprit


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (aiocpg.GroupNameError(b"", "is empty"), 2, "group name b'': is empty"),
        (aiocpg.MessageTooBigError(9, 8), 2, "a message has at most 8 bytes, this one has 9: send it in pieces"),
        (aiocpg.EngineUnavailableError("no daemon", "start it"), 3, "no daemon\ncure: start it"),
        (aiocpg.ConnectionLostError("it died"), 4, "connection lost: it died"),
        (OSError(28, "No space left on device"), 1, "[Errno 28] No space left on device"),
        (OSError(28, "No space left on device", "stdout"), 1, "stdout: No space left on device"),
        (BrokenPipeError(), 141, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_error_has_its_status(error: BaseException, status: int, words: str) -> None:
    """As the reference says."""
    assert after_error(error, endless=False) == (status, words)


@pytest.mark.parametrize("error", [BrokenPipeError(), KeyboardInterrupt()])
def test_being_told_to_end_is_no_failure_for_what_runs_until_then(error: BaseException) -> None:
    """``aiocpg listen`` has no other way to end."""
    assert after_error(error, endless=True) == (0, "")


def test_bug_has_no_status() -> None:
    """Its traceback is wanted."""
    assert after_error(ZeroDivisionError(), endless=True) is None


def test_error_that_is_known_counts_among_those_of_several_tasks() -> None:
    """The others are what it led to."""
    lost = aiocpg.ConnectionLostError("it died")
    assert culprit(ExceptionGroup("tasks", [ZeroDivisionError(), ExceptionGroup("more", [lost])])) is lost
