"""Errors name the culprit, carry data, survive pickling, and say what to do."""

from __future__ import annotations

import copy
import pickle

import pytest

from aiocpg import errors
from aiocpg.errors import (
    AlreadyJoinedError,
    BusyError,
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    EngineError,
    EngineUnavailableError,
    ForkedError,
    GroupClosedError,
    GroupNameError,
    MembershipLostError,
    MessageLostError,
    MessageTooBigError,
    NotJoinedError,
    SlowConsumerError,
    StatusError,
    TooManyGroupsError,
    UsageError,
)

# Each error once, with what its text must mention.
SAMPLES: list[tuple[CPGError, list[str]]] = [
    (CPGError("anything"), ["anything"]),
    (UsageError("wrong"), ["wrong"]),
    (EngineError("broken"), ["broken"]),
    (GroupNameError(b"", "must not be empty"), ["b''", "must not be empty"]),
    (MessageTooBigError(11, 10), ["message has 11 bytes", "10", "pieces"]),
    (MessageTooBigError(11, 10, 3), ["message 3 of the batch", "11", "10"]),
    (AlreadyJoinedError(b"group"), ["b'group'", "share", "leave it first"]),
    (AlreadyJoinedError(b"aiocpg.evs1:shop"), ["the domain b'shop'", "same URL or connection"]),
    (GroupClosedError(b"group"), ["b'group'", "left by this side"]),
    (ConnectionClosedError(), ["connection, or the handle", "closed by this side"]),
    (TooManyGroupsError(51, 50), ["51 groups", "50", "several calls"]),
    (NotJoinedError("c"), ["'c' is not joined", "as often as it was joined"]),
    (NotJoinedError("c", ("a", "b")), ["'c' is not joined", "before it, this call left 'a', 'b'"]),
    (BusyError("events()"), ["another task", "events()", "an iterator of its own"]),
    (BusyError("the domain b'shop'"), ["the domain b'shop'", "a handle of its own"]),
    (ForkedError(), ["fork()", "connect anew"]),
    (EngineUnavailableError("corosync is down", "start it", True), ["corosync is down: start it"]),
    (ConnectionLostError("it crashed"), ["connection lost: it crashed"]),
    (MembershipLostError(b"group", "LEAVE"), ["b'group'", "LEAVE", "did not leave"]),
    (MessageLostError(b"group"), ["b'group'", "send it again"]),
    (StatusError("cpg_join", 14, "CS_ERR_EXIST"), ["cpg_join: CS_ERR_EXIST (14)"]),
    (SlowConsumerError(7, 100), ["100 bytes", "7 events", "max_buffered_bytes"]),
]
ERRORS = [error for error, _ in SAMPLES]


def test_every_error_has_a_sample_here() -> None:
    """The table above is whole."""
    assert {type(error).__name__ for error in ERRORS} == set(errors.__all__)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, CPGError.fresh])
def test_error_is_the_same_when_it_was_pickled_or_copied_or_made_anew(again: object, error: CPGError) -> None:
    """Class, data and text all survive."""
    assert callable(again)
    other = again(error)
    assert other is not error
    assert type(other) is type(error)
    assert (other.args, vars(other), str(other)) == (error.args, vars(error), str(error))


@pytest.mark.parametrize(("error", "words"), SAMPLES, ids=lambda value: type(value).__name__)
def test_text_says_what_is_wrong_and_what_to_do(error: CPGError, words: list[str]) -> None:
    """The text is made of the data."""
    assert [word for word in words if word not in str(error)] == []


def test_fresh_keeps_the_cause_and_drops_the_trail() -> None:
    """What ends a group is raised to many; none of them sees the others' traceback."""
    with pytest.raises(ConnectionLostError) as caught:
        raise ConnectionLostError("gone") from OSError("why")
    fresh = caught.value.fresh()
    assert fresh.__cause__ is caught.value.__cause__
    assert caught.value.__traceback__ is not None
    assert fresh.__traceback__ is None


OURS = {
    GroupNameError,
    MessageTooBigError,
    AlreadyJoinedError,
    GroupClosedError,
    ConnectionClosedError,
    TooManyGroupsError,
    NotJoinedError,
    BusyError,
    ForkedError,
}
THEIRS = {EngineUnavailableError, ConnectionLostError, MembershipLostError, MessageLostError, StatusError}


def test_first_branch_says_whose_fault_it_is() -> None:
    """Ours, the other side's, or neither's: a slow reader is nobody's mistake."""
    assert {error for error in vars(errors).values() if _is_below(error, UsageError)} == OURS
    assert {error for error in vars(errors).values() if _is_below(error, EngineError)} == THEIRS
    assert not issubclass(SlowConsumerError, UsageError | EngineError)


def _is_below(found: object, parent: type[CPGError]) -> bool:
    return isinstance(found, type) and issubclass(found, parent) and found is not parent


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (GroupNameError, ValueError),
        (MessageTooBigError, ValueError),
        (TooManyGroupsError, ValueError),
        (BusyError, RuntimeError),
        (ConnectionLostError, ConnectionError),
    ],
)
def test_error_is_also_the_builtin_one_where_there_is_one(error: type[CPGError], builtin: type[Exception]) -> None:
    """Whoever catches the builtin class catches ours."""
    assert issubclass(error, builtin)


def test_unavailable_without_a_cure_says_the_reason_alone() -> None:
    """No dangling colon."""
    assert str(EngineUnavailableError("no CPG service", "")) == "no CPG service"
    assert not EngineUnavailableError("no CPG service", "").transient
