"""
libcpg as typed Python: one function per call, nothing decided.

Slow calls (those with a reply, and the few that only look) raise :class:`~aiocpg.errors.StatusError` for every status
but OK, and :class:`~aiocpg.errors.EngineUnavailableError` where the library is missing. They know no timeouts: who may
have to give up runs them in a thread. The hot ones (:func:`drain`, :class:`Guard`) return statuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NewType

from aiocpg._events import Address, Buffer
from aiocpg._names import group_name
from aiocpg._state.history import Record
from aiocpg.errors import UsageError

from ._load import table
from ._shim import ffi, lib
from .arena import Arena
from .guard import Guard
from .status import Status, check, status_name

__all__ = [
    "Arena",
    "Guard",
    "Handle",
    "IterationHandle",
    "Record",
    "Status",
    "check",
    "context_get",
    "context_set",
    "dispatch",
    "drain",
    "fd_get",
    "finalize",
    "flow_control_state_get",
    "initialize",
    "iteration_finalize",
    "iteration_initialize",
    "iteration_next",
    "join",
    "leave",
    "load",
    "local_get",
    "max_atomic_msgsize_get",
    "mcast_joined",
    "membership_get",
    "status_name",
]

Handle = NewType("Handle", int)
IterationHandle = NewType("IterationHandle", int)

MAX_BUFFERS = 63
"""Buffers of one message: libcpg fills an array of 64 without looking, and the first place is its own."""
_MAX_ADDRESSES = 384
_OLD_MAX_ATOMIC = 1024 * 1024 - 1024


def load() -> None:
    """Load libcpg, if that has not happened yet."""
    table()


def initialize(flags: int = 0) -> Handle:
    """``cpg_model_initialize``, model V1, with callbacks that collect. Flag 1 asks for the initial totem confchg."""
    table()
    handle = ffi.new("cpg_handle_t *")
    check("cpg_model_initialize", lib.aiocpg_initialize(handle, flags))
    return Handle(handle[0])


def finalize(handle: Handle) -> None:
    """``cpg_finalize``. The handle is gone whatever is raised."""
    check("cpg_finalize", table().finalize(handle))


def fd_get(handle: Handle) -> int:
    """``cpg_fd_get``. Constant for the handle's life."""
    fd = ffi.new("int *")
    check("cpg_fd_get", table().fd_get(handle, fd))
    return int(fd[0])


def max_atomic_msgsize_get(handle: Handle) -> int:
    """``cpg_max_atomic_msgsize_get``, or its constant value in a library older than the call (2.3.5)."""
    call = table().max_atomic_msgsize_get
    if call == ffi.NULL:
        return _OLD_MAX_ATOMIC
    size = ffi.new("uint32_t *")
    check("cpg_max_atomic_msgsize_get", call(handle, size))
    return int(size[0])


def context_get(handle: Handle) -> int:
    """``cpg_context_get``; the pointer is an opaque number here."""
    context = ffi.new("void **")
    check("cpg_context_get", table().context_get(handle, context))
    return int(ffi.cast("uintptr_t", context[0]))


def context_set(handle: Handle, context: int) -> None:
    """``cpg_context_set``."""
    check("cpg_context_set", table().context_set(handle, ffi.cast("void *", context)))


def join(handle: Handle, name: bytes) -> None:
    """``cpg_join``. Returns when the join is queued, not when it is done."""
    check("cpg_join", table().join(handle, _name(name)))


def leave(handle: Handle, name: bytes) -> None:
    """``cpg_leave``. The name must be the one joined: the daemon acts on it unchecked."""
    check("cpg_leave", table().leave(handle, _name(name)))


def membership_get(handle: Handle, name: bytes) -> tuple[Address, ...]:
    """``cpg_membership_get``, sorted; empty for a group nobody is in. It may be ahead of the events."""
    members = ffi.new("struct cpg_address[]", _MAX_ADDRESSES)
    count = ffi.new("int *", _MAX_ADDRESSES)
    check("cpg_membership_get", table().membership_get(handle, _name(name), members, count))
    # The reason field is never filled in by the daemon.
    return tuple(sorted(Address(members[i].nodeid, members[i].pid) for i in range(count[0])))


def local_get(handle: Handle) -> int:
    """``cpg_local_get``: this node's nodeid."""
    nodeid = ffi.new("unsigned int *")
    check("cpg_local_get", table().local_get(handle, nodeid))
    return int(nodeid[0])


def flow_control_state_get(handle: Handle) -> bool:
    """``cpg_flow_control_state_get``: always False, it is a stub."""
    state = ffi.new("cpg_flow_control_state_t *")
    check("cpg_flow_control_state_get", table().flow_control_state_get(handle, state))
    return bool(state[0] == lib.CPG_FLOW_CONTROL_ENABLED)


def iteration_initialize(handle: Handle, kind: int, group: bytes | None = None) -> IterationHandle:
    """``cpg_iteration_initialize``: names only (1), one group (2, needs the group) or all (3)."""
    iteration = ffi.new("cpg_iteration_handle_t *")
    name = ffi.NULL if group is None else _name(group)
    check("cpg_iteration_initialize", table().iteration_initialize(handle, kind, name, iteration))
    return IterationHandle(iteration[0])


def iteration_next(iteration: IterationHandle) -> tuple[bytes, Address]:
    """``cpg_iteration_next``. NO_SECTIONS is the end. May hang for ever, beyond reach, when the daemon dies."""
    found = ffi.new("struct cpg_iteration_description_t *")
    check("cpg_iteration_next", table().iteration_next(iteration, found))
    return ffi.buffer(found.group.value)[: found.group.length], Address(found.nodeid, found.pid)


def iteration_finalize(iteration: IterationHandle) -> None:
    """``cpg_iteration_finalize``."""
    check("cpg_iteration_finalize", table().iteration_finalize(iteration))


def mcast_joined(handle: Handle, guarantee: int, buffers: Sequence[Buffer]) -> None:
    """
    ``cpg_mcast_joined`` as it is, without the guard: it spins while the socket is full, and blocks above max_atomic.

    Raises:
        UsageError: More than 63 buffers.
        StatusError: Any status but OK. OK means taken by the request ring; after LIBRARY it may still have been sent.
    """
    if len(buffers) > MAX_BUFFERS:
        raise UsageError(f"a message has at most {MAX_BUFFERS} buffers, {len(buffers)} were given: join some")
    pieces = [ffi.from_buffer(buffer) for buffer in buffers]  # keeps them alive during the call
    iovec = ffi.new("struct iovec[]", [(piece, len(piece)) for piece in pieces])
    check("cpg_mcast_joined", table().mcast_joined(handle, guarantee, iovec, len(pieces)))


def dispatch(handle: Handle, arena: Arena, flag: int) -> tuple[int, list[Record]]:
    """One ``cpg_dispatch`` of any kind. ONE blocks, BLOCKING never returns while the handle lives."""
    return arena.dispatch(handle, flag)


def drain(handle: Handle, arena: Arena, max_events: int, max_bytes: int) -> tuple[int, list[Record]]:
    """
    Take what is there, without blocking, up to a budget.

    Args:
        handle: The handle; one thread at a time dispatches it.
        arena: Where to collect; several handles may share it, since it is read before this returns.
        max_events: Stop after so many, at least 1.
        max_bytes: Stop once so many bytes (payload, member lists, and the group's name once) are collected, at least 1;
            the last event may go over it. A piece of a message above max_atomic counts 1 MiB.

    Returns:
        The status and what was collected before it, whatever the status is: OK when the budget ended it (the
        descriptor is still readable if there is more), TRY_AGAIN when nothing is left, LIBRARY when the connection is
        gone, NO_MEMORY when libcpg lost one large message for want of memory, OUT_OF_MEMORY (ours, and from then on
        always), STACK_TOO_SMALL, STUCK, MESSAGE_ERROR (the ring is corrupt), BAD_HANDLE.
    """
    return arena.drain(handle, max_events, max_bytes)


def _name(name: bytes) -> Any:
    # Zeroed by cffi: the daemon uses bytes past the length as part of a key.
    group_name(name)
    struct = ffi.new("struct cpg_name *")
    struct.length = len(name)
    ffi.memmove(struct.value, name, len(name))
    return struct
