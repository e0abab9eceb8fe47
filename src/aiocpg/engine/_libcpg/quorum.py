"""
libquorum as typed Python: the few calls we need of it, nothing decided.

As :mod:`.binding` is for libcpg, whose calls do not take these handles.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiocpg._events import RingId

from ._load import quorum_table
from ._shim import ffi, lib
from .binding import Handle
from .status import check

MAX_ROUNDS_PER_DRAIN = 256
"""Calls of ``quorum_dispatch`` in one turn of the loop. More changes than these take several turns."""


class Told(NamedTuple):
    """The newest notification of the daemon."""

    is_quorate: bool
    """With a provider, its decision. Without one always true, whatever the ring."""
    ring_id: RingId
    nodes: tuple[int, ...]
    """Node ids, sorted; none before a provider has decided anything, or where there is none."""


def load() -> None:
    """Load libquorum, if that has not happened yet."""
    quorum_table()


def initialize() -> tuple[Handle, bool]:
    """``quorum_model_initialize``, or ``quorum_initialize`` of an older library; and whether there is a provider."""
    quorum_table()
    handle = ffi.new("quorum_handle_t *")
    kind = ffi.new("uint32_t *")
    check("quorum_model_initialize", lib.aiocpg_quorum_initialize(handle, kind))
    return Handle(handle[0]), bool(kind[0] != lib.QUORUM_FREE)


def finalize(handle: Handle) -> None:
    """``quorum_finalize``. The handle is gone whatever is raised."""
    check("quorum_finalize", quorum_table().finalize(handle))


def fd_get(handle: Handle) -> int:
    """``quorum_fd_get``. Constant for the handle's life."""
    fd = ffi.new("int *")
    check("quorum_fd_get", quorum_table().fd_get(handle, fd))
    return int(fd[0])


def trackstart(handle: Handle) -> None:
    """``quorum_trackstart`` with ``CS_TRACK_CHANGES``: what is now is told before it returns, then each change."""
    check("quorum_trackstart", quorum_table().trackstart(handle, lib.CS_TRACK_CHANGES))


class Newest:
    """What one handle was told last. One thread at a time uses it."""

    def __init__(self) -> None:
        self._state: Any = ffi.new("struct aiocpg_quorum *")

    def drain(self, handle: Handle, max_rounds: int = MAX_ROUNDS_PER_DRAIN) -> int:
        """
        Take what is there, without blocking.

        Returns:
            The status: OK when ``max_rounds`` ended it (the descriptor is still readable if there is more), TRY_AGAIN
            when nothing is left, LIBRARY when the connection is gone, STACK_TOO_SMALL, STUCK, BAD_HANDLE.
        """
        return int(lib.aiocpg_quorum_drain(handle, self._state, max_rounds))

    @property
    def told(self) -> Told | None:
        """The newest notification; None before the first."""
        state = self._state
        if not state.told:
            return None
        nodes = tuple(sorted(state.nodes[0 : state.n_nodes]))
        # Model V0 does not tell the representative; Totem makes it the node with the lowest id.
        nodeid = state.nodeid or min(nodes, default=0)
        return Told(bool(state.quorate), RingId(nodeid, state.seq), nodes)
