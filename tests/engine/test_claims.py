"""The groups that a process holds: one of them by one, per world, and none that its parent holds."""

from __future__ import annotations

import os

import pytest

from aiocpg import AlreadyJoinedError
from aiocpg.engine._claims import Claim


def test_claim_is_for_one_until_it_is_released() -> None:
    """Per world and name."""
    claim = Claim("here", b"claimed")
    others = [Claim("there", b"claimed"), Claim("here", b"another")]
    with pytest.raises(AlreadyJoinedError):
        Claim("here", b"claimed")
    claim.release()
    for one in (Claim("here", b"claimed"), *others):
        one.release()


def test_forked_child_holds_no_claims() -> None:
    """What the parent holds, the child does not; the daemon tells them apart by pid."""
    claim = Claim("here", b"claimed")
    pid = os.fork()
    if not pid:
        try:
            Claim("here", b"claimed")
            os._exit(0)
        finally:  # what it raises shall not come back into the tests
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    claim.release()
