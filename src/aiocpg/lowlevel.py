"""
libcpg, one thin typed call per function, for people who need exactly that. Everybody else uses :func:`aiocpg.connect`.

Names are libcpg's without ``cpg_``. Every call raises :class:`~aiocpg.StatusError` for every status but ``CS_OK`` and
:class:`~aiocpg.EngineUnavailableError` where libcpg is not installed. There are no callbacks: :func:`dispatch` returns
the events.

What libcpg leaves to its caller is left to you here:

- calls that wait for the daemon wait for ever, holding no lock of Python's; ``shutdown()`` of the descriptor ends most;
- one thread at a time may dispatch a handle and one may do everything else with it; :func:`initialize` is for one
  thread of the process at a time;
- a handle is good for one join: leave, see the own leave, finalize;
- in a child of ``fork()`` only close the descriptor, everything else harms the parent.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, overload

from aiocpg._events import Address, Buffer, ConfigurationChange, Guarantee, RingChange
from aiocpg._names import group_name
from aiocpg.engine._libcpg import binding, zcb
from aiocpg.engine._libcpg.binding import Arena, Handle, IterationHandle, Record, Status, check
from aiocpg.engine._libcpg.zcb import ZeroCopyBuffer

__all__ = [
    "Delivery",
    "DispatchFlag",
    "Event",
    "Handle",
    "IterationHandle",
    "IterationType",
    "Status",
    "ZeroCopyBuffer",
    "context_get",
    "context_set",
    "dispatch",
    "fd_get",
    "finalize",
    "flow_control_state_get",
    "initialize",
    "iteration_finalize",
    "iteration_initialize",
    "iteration_next",
    "join",
    "leave",
    "local_get",
    "max_atomic_msgsize_get",
    "mcast_joined",
    "membership_get",
    "model_initialize",
    "zcb_alloc",
    "zcb_free",
    "zcb_mcast_joined",
]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message as libcpg delivers it (``cpg_deliver_fn_t``)."""

    group: bytes
    sender: Address
    data: bytes


Event: TypeAlias = Delivery | ConfigurationChange | RingChange
"""What :func:`dispatch` returns: the three callbacks of libcpg as values."""


class DispatchFlag(enum.IntEnum):
    """How to dispatch (``cs_dispatch_flags_t``)."""

    ONE = 1
    """One event; waits for it."""
    ALL = 2
    """What is there, up to the limits."""
    BLOCKING = 3
    """An endless iterator; each step may wait."""
    ONE_NONBLOCKING = 4
    """One event if there is one."""


class IterationType(enum.IntEnum):
    """What an iteration lists (``cpg_iteration_type_t``)."""

    NAME_ONLY = 1
    """Group names; the addresses are ``0:0``."""
    ONE_GROUP = 2
    """The members of one group."""
    ALL = 3
    """The members of all groups."""


class _Inbox:
    """The receiving side of one handle: its arena, and a status that waits because events came with it."""

    def __init__(self) -> None:
        self.arena = Arena()
        self.pending: int = Status.OK

    def take(self, status: int, records: list[Record]) -> list[Event]:
        """Return the records as events; keep a status that must not hide them for the next call."""
        if not records:
            check("cpg_dispatch", status)
        elif status != Status.TRY_AGAIN:
            self.pending = status
        return _events(records, self.arena.names)

    def raise_pending(self) -> None:
        """Raise what the call before had to hold back."""
        status, self.pending = self.pending, Status.OK
        check("cpg_dispatch", status)


# By handle, from initialize to finalize. A dict's single operations are atomic; who finalizes while another thread
# dispatches leaves that thread its inbox.
_inboxes: dict[Handle, _Inbox] = {}


def initialize() -> Handle:
    """
    Connect to the daemon of this host (network namespace): ``cpg_initialize``, with all events collected.

    Blocks until the daemon answers, without a timeout and without a way to abort it: a stopped daemon hangs it. Costs
    one descriptor and 3.1 MiB of /dev/shm. Man page: cpg_initialize(3).

    Raises:
        StatusError: LIBRARY (no daemon, or no descriptors left), TRY_AGAIN (it is not ready yet), ACCESS (uid and gid
            not allowed), NOT_EXIST (its /dev/shm is not ours), NO_SPACE (/dev/shm is full), NOT_SUPPORTED (the CPG
            service is not loaded), NO_MEMORY, NO_RESOURCES.
    """
    return model_initialize(0)


def model_initialize(flags: int) -> Handle:
    """
    Like :func:`initialize`, with flags: ``cpg_model_initialize``, model V1. Blocks like it.

    Man page: cpg_model_initialize(3).

    Args:
        flags: 0, or 1 (``CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF``): the ring in force comes with the first
            configuration change, else only the next one does.

    Raises:
        StatusError: As :func:`initialize`; INVALID_PARAM for other flags, which would leak inside libcpg.
    """
    handle = binding.initialize(flags)
    _inboxes[handle] = _Inbox()
    return handle


def finalize(handle: Handle) -> None:
    """
    Close a handle: ``cpg_finalize``. Man page: cpg_finalize(3).

    Blocks until the daemon answers; it has read all messages sent before then. Members see PROCDOWN unless a leave
    came first. Remove the descriptor from event loops before: it is closed here.

    Raises:
        StatusError: LIBRARY (the connection was gone), BAD_HANDLE (second call). The handle is gone in any case.
    """
    _inboxes.pop(handle, None)
    binding.finalize(handle)


def fd_get(handle: Handle) -> int:
    """
    Return the descriptor to poll: ``cpg_fd_get``. Never blocks. Man page: cpg_fd_get(3).

    Readable: dispatch. Hung up: the daemon is gone, and events not dispatched are lost. It stays libcpg's; do not
    read, write or close it. ``shutdown()`` ends calls that wait (within 2 s), and the handle with them.

    Raises:
        StatusError: BAD_HANDLE.
    """
    return binding.fd_get(handle)


def max_atomic_msgsize_get(handle: Handle) -> int:
    """
    Return the most bytes one message has without being fragmented, 1 047 552 as a rule: ``cpg_max_atomic_msgsize_get``.

    Never blocks. Not in the man pages; in libraries older than 2.3.5 the usual value is returned.

    Raises:
        StatusError: BAD_HANDLE.
    """
    return binding.max_atomic_msgsize_get(handle)


def context_get(handle: Handle) -> int:
    """
    Return the number set by :func:`context_set`, 0 at first: ``cpg_context_get``. Never blocks.

    Man page: cpg_context_get(3).

    Raises:
        StatusError: BAD_HANDLE.
    """
    return binding.context_get(handle)


def context_set(handle: Handle, context: int) -> None:
    """
    Keep a number (as large as a pointer) with the handle: ``cpg_context_set``. Never blocks.

    Man page: cpg_context_set(3).

    Raises:
        StatusError: BAD_HANDLE.
    """
    binding.context_set(handle, context)


@overload
def dispatch(handle: Handle, flag: Literal[DispatchFlag.BLOCKING]) -> Iterator[Event]: ...
@overload
def dispatch(
    handle: Handle,
    flag: Literal[DispatchFlag.ONE, DispatchFlag.ALL, DispatchFlag.ONE_NONBLOCKING],
    *,
    max_events: int = ...,
    max_bytes: int = ...,
) -> list[Event]: ...
def dispatch(
    handle: Handle, flag: DispatchFlag, *, max_events: int = 1024, max_bytes: int = 1 << 20
) -> list[Event] | Iterator[Event]:
    """
    Return events: ``cpg_dispatch``. Man page: cpg_dispatch(3).

    ONE waits for one event, as long as it takes; signals do not interrupt it. ALL never waits and returns what is
    there, up to the limits (libcpg's own has none); ``[]`` when nothing is. ONE_NONBLOCKING returns one event or
    raises TRY_AGAIN. A list may be empty although something was read: a piece of a message above max_atomic.
    BLOCKING returns an iterator that does ONE again and again, and ends by raising.

    When events came before an error, they are returned and the next call raises.

    Args:
        handle: The handle; one thread at a time dispatches it.
        flag: See above.
        max_events: ALL: most events to return, at least 1.
        max_bytes: ALL: no more events once this many bytes (payload, member lists, and the group's name once) have
            come, at least 1.

    Raises:
        StatusError: TRY_AGAIN (ONE_NONBLOCKING: nothing there), LIBRARY (the connection is gone), BAD_HANDLE,
            NO_MEMORY (a message above max_atomic is lost), MESSAGE_ERROR (the ring is corrupt, give up), or of our
            own OUT_OF_MEMORY (events are lost, give up) and STUCK (readable, but nothing comes: give up).
        UsageError: This thread's stack is too small for libcpg, which takes 1 MiB of it.
    """
    flag = DispatchFlag(flag)
    inbox = _inboxes.get(handle) or _Inbox()  # libcpg says BAD_HANDLE for one that is not ours
    if flag is DispatchFlag.BLOCKING:
        return _forever(handle, inbox)
    inbox.raise_pending()
    if flag is DispatchFlag.ONE:
        return inbox.take(*binding.dispatch(handle, inbox.arena, flag))
    limits = (max_events, max_bytes) if flag is DispatchFlag.ALL else (1, 1)
    status, records = binding.drain(handle, inbox.arena, *limits)
    if flag is DispatchFlag.ALL and status == Status.TRY_AGAIN:
        status = Status.OK
    return inbox.take(status, records)


def _forever(handle: Handle, inbox: _Inbox) -> Iterator[Event]:
    while True:
        inbox.raise_pending()
        yield from inbox.take(*binding.dispatch(handle, inbox.arena, DispatchFlag.ONE))


def _events(records: list[Record], names: list[tuple[int, bytes]]) -> list[Event]:
    """Give each delivery its group: ``names`` tells from which record on which group is meant."""
    events: list[Event] = []
    starts = dict(names)
    group = b""
    for index, record in enumerate(records):
        group = starts.get(index, group)
        events.append(Delivery(group, *record) if isinstance(record, tuple) else record)
    return events


def join(handle: Handle, group: bytes | str) -> None:
    """
    Ask to join a group: ``cpg_join``. Man page: cpg_join(3).

    Blocks until the daemon has taken the request. The join is done when a configuration change with our own address
    in ``joined`` is dispatched; it is the first event of the group.

    Args:
        handle: A handle that has joined nothing before. After a leave libcpg would spin here for ever.
        group: 1 to 127 bytes; text is encoded as UTF-8.

    Raises:
        GroupNameError: The name cannot be used.
        StatusError: EXIST (this handle, or another of this pid, is in the group), TRY_AGAIN (an earlier process of
            this pid is still in it, or membership is changing: try again), LIBRARY, BAD_HANDLE.
    """
    binding.join(handle, group_name(group))


def leave(handle: Handle, group: bytes | str) -> None:
    """
    Ask to leave the group: ``cpg_leave``. Man page: cpg_leave(3).

    Blocks until the daemon has taken the request, and spins while the join is not complete. The leave is done when
    our own address in ``left`` is dispatched; messages go on coming after it. Then finalize the handle.

    Args:
        handle: The handle that joined.
        group: Exactly the name joined. The daemon does not check it: another name takes another handle of this
            process out of that group, and leaves a ghost in this one.

    Raises:
        GroupNameError: The name cannot be used.
        StatusError: NOT_EXIST (not joined, or leaving already), LIBRARY, BAD_HANDLE.
    """
    binding.leave(handle, group_name(group))


def mcast_joined(handle: Handle, guarantee: Guarantee, *buffers: Buffer) -> None:
    """
    Send one message to the group joined: ``cpg_mcast_joined``. Man page: cpg_mcast_joined(3).

    OK means copied into the connection's request ring (1 MiB). A member that has not joined or is leaving, and a
    process that ends before the daemon has read the ring, lose it in silence.

    Up to max_atomic bytes it does not wait, but **spins at full speed while the daemon does not read** (from the 278th
    unread request on): poll the descriptor for writability at least once in 64 sends and do not call it when it is
    not. Above max_atomic each MiB is a round trip that waits for ever, other members may get a part of such a message
    and drop it, and after the daemon's death it may report success: look at the descriptor for a hang-up.

    Args:
        handle: The handle that joined; one thread at a time sends.
        guarantee: Ignored by the daemon; all messages are AGREED.
        buffers: The message in at most 63 pieces, gathered by libcpg; 0 bytes are a message too.

    Raises:
        UsageError: More than 63 buffers, which libcpg would write past the end of an array.
        StatusError: TRY_AGAIN (congested, or membership is changing: nothing was sent, try again in a while, no event
            tells when; for ever after a daemon's death), LIBRARY (connection gone; may have been sent), INTERRUPT
            (above max_atomic: a configuration change came between, send it again), BAD_HANDLE.
    """
    binding.mcast_joined(handle, guarantee, buffers)


def membership_get(handle: Handle, group: bytes | str) -> tuple[Address, ...]:
    """
    Return the members of a group, joined or not, sorted: ``cpg_membership_get``. Man page: cpg_membership_get(3).

    Blocks until the daemon answers. It answers with its newest state, which is ahead of events not dispatched yet:
    never mix the two. A group that does not exist has no members.

    Raises:
        GroupNameError: The name cannot be used.
        StatusError: LIBRARY, BAD_HANDLE.
    """
    return binding.membership_get(handle, group_name(group))


def local_get(handle: Handle) -> int:
    """
    Return this node's nodeid: ``cpg_local_get``. Blocks until the daemon answers. Man page: cpg_local_get(3).

    Raises:
        StatusError: LIBRARY, BAD_HANDLE.
    """
    return binding.local_get(handle)


def flow_control_state_get(handle: Handle) -> bool:
    """
    Return False: ``cpg_flow_control_state_get`` is a stub in every supported version. Never blocks.

    Congestion shows as TRY_AGAIN of :func:`mcast_joined`. No man page.

    Raises:
        StatusError: BAD_HANDLE.
    """
    return binding.flow_control_state_get(handle)


def iteration_initialize(handle: Handle, kind: IterationType, group: bytes | str | None = None) -> IterationHandle:
    """
    Take a snapshot of groups and members: ``cpg_iteration_initialize``. Man page: cpg_iteration_initialize(3).

    Blocks until the daemon answers. Needs no join.

    Args:
        handle: The handle; its finalize ends its iterations.
        kind: What to list.
        group: The group, for ONE_GROUP; None for ALL.

    Raises:
        GroupNameError: The name cannot be used.
        StatusError: INVALID_PARAM (kind and group do not fit), LIBRARY, NO_MEMORY, BAD_HANDLE.
    """
    return binding.iteration_initialize(handle, kind, None if group is None else group_name(group))


def iteration_next(iteration: IterationHandle) -> tuple[bytes, Address]:
    """
    Return the next line of the snapshot, a group and a member of it: ``cpg_iteration_next``.

    Blocks until the daemon answers; **when the daemon dies meanwhile it hangs for ever, beyond the reach of
    shutdown()**: use an expendable thread. Man page: cpg_iteration_next(3).

    Raises:
        StatusError: NO_SECTIONS (that was all), LIBRARY, BAD_HANDLE.
    """
    return binding.iteration_next(iteration)


def iteration_finalize(iteration: IterationHandle) -> None:
    """
    Drop the snapshot: ``cpg_iteration_finalize``. Blocks until the daemon answers. Man page: cpg_iteration_finalize(3).

    Raises:
        StatusError: LIBRARY, BAD_HANDLE.
    """
    binding.iteration_finalize(iteration)


def zcb_alloc(handle: Handle, size: int) -> ZeroCopyBuffer:
    """
    Make a buffer that :func:`zcb_mcast_joined` sends from: ``cpg_zcb_alloc``. Man page: cpg_zcb_alloc(3).

    **Legacy**: since August 2026 upstream's three calls are malloc, free and an ordinary send. In earlier versions the
    buffer is a file in /dev/shm, and libcpg aborts the process when there is no room; that is looked up first, but
    others may fill it meanwhile. Call it in the mount namespace the handle was made in, or the *daemon* aborts. Blocks
    until the daemon answers.

    Args:
        handle: The handle; its finalize does not free the buffer here.
        size: Bytes, 1 to max_atomic.

    Raises:
        MessageTooBigError: The size is above max_atomic.
        UsageError: The size is below 1.
        StatusError: NO_SPACE (/dev/shm is too full), NOT_SUPPORTED (not in this libcpg), LIBRARY, BAD_HANDLE.
    """
    return zcb.zcb_alloc(handle, size)


def zcb_free(handle: Handle, buffer: ZeroCopyBuffer) -> None:
    """
    Give a buffer back: ``cpg_zcb_free``. Legacy, see :func:`zcb_alloc`. Man page: cpg_zcb_free(3).

    Blocks until the daemon answers. The buffer cannot be used afterwards, whatever is raised by the daemon.

    Raises:
        UsageError: It was freed before, or belongs to another handle.
        StatusError: NOT_SUPPORTED, LIBRARY, BAD_HANDLE.
    """
    zcb.zcb_free(handle, buffer)


def zcb_mcast_joined(handle: Handle, guarantee: Guarantee, buffer: ZeroCopyBuffer, length: int) -> None:
    """
    Send the first ``length`` bytes of a buffer: ``cpg_zcb_mcast_joined``. Legacy, see :func:`zcb_alloc`.

    Blocks until the daemon has handed the message on; the buffer may then be filled anew. Otherwise like
    :func:`mcast_joined`. Man page: cpg_zcb_mcast_joined(3).

    Raises:
        UsageError: The buffer was freed, belongs to another handle, or is shorter.
        StatusError: TRY_AGAIN (congested), NOT_SUPPORTED, LIBRARY, BAD_HANDLE.
    """
    zcb.zcb_mcast_joined(handle, guarantee, buffer, length)
