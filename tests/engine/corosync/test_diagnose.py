"""From a status to what is wrong and the cure: every status libcpg is known to refuse with has words of its own."""

from __future__ import annotations

import os

import pytest

from aiocpg.engine._libcpg.status import Status, status_name
from aiocpg.engine.corosync._diagnose import lost_by, unavailable, wrong_daemon
from aiocpg.errors import ConnectionLostError, StatusError, UsageError


def failed(status: Status) -> StatusError:
    """Return the error of a failed initialize."""
    return StatusError("cpg_model_initialize", status, status_name(status))


@pytest.mark.parametrize(
    ("status", "reason", "cure", "transient"),
    [
        (Status.LIBRARY, "not running", "systemctl start corosync", True),
        (Status.TRY_AGAIN, "not ready", "try again", True),
        (Status.ACCESS, f"uid {os.geteuid()}", "uidgid.d", False),
        (Status.NOT_EXIST, "shared memory", "--ipc=host", False),
        (Status.NO_SPACE, "no space in /dev/shm", "--shm-size", True),
        (Status.NOT_SUPPORTED, "no CPG service", "corosync", False),
        (Status.NO_MEMORY, "no memory", "limits", True),
        (Status.NO_RESOURCES, "no memory", "limits", True),
        (Status.BAD_FLAGS, "CS_ERR_BAD_FLAGS", "log", False),
    ],
)
def test_refusal_names_the_reason_and_the_cure(status: Status, reason: str, cure: str, transient: bool) -> None:
    """Absent or not ready is worth another try; a configuration is not."""
    error = unavailable(failed(status))
    assert reason in error.reason
    assert cure in error.cure
    assert error.transient == transient
    assert isinstance(error.__cause__, StatusError)


def test_access_is_cured_with_the_users_own_lines() -> None:
    """To be copied as they are."""
    cure = unavailable(failed(Status.ACCESS)).cure
    assert "uidgid {\n" in cure
    assert "uid: root\n    }\n" in cure


def test_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in containers."""
    monkeypatch.setattr(os, "geteuid", lambda: 3_999_999)
    error = unavailable(failed(Status.ACCESS))
    assert "uid 3999999 (3999999)" in error.reason
    assert "uid: 3999999\n" in error.cure


def test_full_shared_memory_is_told_with_numbers() -> None:
    """How much there is, and how much it takes."""
    reason = unavailable(failed(Status.NO_SPACE)).reason
    assert any(word.strip("(").isdigit() for word in reason.split())


def test_wrong_daemon_is_no_passing_trouble() -> None:
    """Both users are named."""
    error = wrong_daemon(1000, 0)
    assert "uid 1000, not 0" in error.reason
    assert not error.transient


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status.HUNG_UP, "corosync closed the connection"),
        (Status.LIBRARY, "corosync closed the connection"),
        (Status.BAD_HANDLE, "finalized by somebody else"),
        (Status.OUT_OF_MEMORY, "no memory"),
        (Status.NO_MEMORY, "no memory"),
        (Status.MESSAGE_ERROR, "corrupt"),
        (Status.STUCK, "stays readable"),
        (Status.INVALID_PARAM, "CS_ERR_INVALID_PARAM"),
    ],
)
def test_loss_says_how_it_was_noticed(status: Status, words: str) -> None:
    """In words of what happened, not of the call."""
    error = lost_by(status)
    assert isinstance(error, ConnectionLostError)
    assert words in error.reason


def test_thread_with_a_small_stack_is_our_own_mistake() -> None:
    """With what to do about it."""
    error = lost_by(Status.STACK_TOO_SMALL)
    assert isinstance(error, UsageError)
    assert "threading.stack_size" in str(error)
