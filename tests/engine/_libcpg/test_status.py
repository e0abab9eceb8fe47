"""What statuses are called and what they raise."""

from __future__ import annotations

import pytest

from aiocpg.engine._libcpg.status import Status, check, status_name
from aiocpg.errors import StatusError, UsageError


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1, "CS_OK"),
        (6, "CS_ERR_TRY_AGAIN"),
        (-1, "AIOCPG_NOT_WRITABLE"),
        (29, "unknown status"),
        (-99, "unknown status"),
    ],
)
def test_status_name_is_the_one_of_the_header(code: int, name: str) -> None:
    """A status reads as in Corosync's sources; ours, and strangers, cannot be mistaken for one."""
    assert status_name(code) == name


def test_check_passes_when_ok() -> None:
    """OK is no news."""
    check("cpg_join", Status.OK)


def test_check_raises_call_code_and_name_when_not_ok() -> None:
    """The error carries all there is to know."""
    with pytest.raises(StatusError) as caught:
        check("cpg_join", 14)
    assert (caught.value.call, caught.value.code, caught.value.name) == ("cpg_join", 14, "CS_ERR_EXIST")


def test_check_blames_the_caller_when_the_stack_is_too_small() -> None:
    """It is the thread that is wrong, not the daemon, and the text says what to change."""
    with pytest.raises(UsageError, match=r"threading\.stack_size"):
        check("cpg_dispatch", Status.STACK_TOO_SMALL)
