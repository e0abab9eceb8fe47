"""
From a status of libcpg to what is wrong on this machine, and the cure. What is looked at, is looked at when asked.
"""

from __future__ import annotations

import errno
import os
import pwd
from collections.abc import Callable

from aiocpg.engine._libcpg.status import Status, status_name
from aiocpg.engine.corosync._shared_memory import no_space
from aiocpg.errors import ConnectionLostError, CPGError, EngineUnavailableError, StatusError, UsageError


def unavailable(error: StatusError) -> EngineUnavailableError:
    """What a failed ``cpg_model_initialize`` or ``cpg_join`` means."""
    diagnosis = _DIAGNOSES.get(error.code, _anything_else)
    found = diagnosis(error)
    found.__cause__ = error
    return found


def wrong_daemon(uid: int, wanted: int) -> EngineUnavailableError:
    """Somebody else answers where corosync should."""
    return EngineUnavailableError(
        f"the process behind corosync's socket runs as uid {uid}, not {wanted}",
        "find out who listens on the abstract socket '@cpg' (ss -xlp), or change daemon_uid",
    )


def lost_by(status: int) -> CPGError:
    """What it means that a handle in use answers so."""
    if status == Status.STACK_TOO_SMALL:
        return UsageError(_SMALL_STACK)
    return ConnectionLostError(_LOSSES.get(status, f"libcpg answered {status_name(status)}"))


_HOLE = "the connection was ended, because an order with a hole would be a lie"

_SMALL_STACK = (
    "this thread's stack is too small for cpg_dispatch, which needs more than 1 MiB: run the loop on the main thread, "
    "or call threading.stack_size(4 * 1024 * 1024) before starting the thread"
)

_LOSSES: dict[int, str] = {
    Status.HUNG_UP: "corosync closed the connection: it was stopped, crashed, or ran out of memory; see its log",
    Status.LIBRARY: "corosync closed the connection: it was stopped, crashed, or ran out of memory; see its log",
    Status.BAD_HANDLE: "the libcpg handle was finalized by somebody else in this process",
    Status.OUT_OF_MEMORY: f"no memory for an arriving event; {_HOLE}",
    Status.NO_MEMORY: f"libcpg had no memory for an arriving message; {_HOLE}",
    Status.MESSAGE_ERROR: "the event ring shared with corosync is corrupt",
    Status.STUCK: "the descriptor stays readable and no event comes: the ring shared with corosync is out of step",
}


def _not_running(error: StatusError) -> EngineUnavailableError:
    if _no_descriptor_left():
        return EngineUnavailableError(
            "this process has no file descriptor left for a connection to corosync",
            "raise its limit (ulimit -n, LimitNOFILE= of the unit); a connection takes two, and so does each group",
            transient=True,
        )
    return EngineUnavailableError(
        "corosync is not running on this host, or is just going down",
        "start it with 'systemctl start corosync' and look at its log ('journalctl -u corosync'); a first try needs no "
        "daemon: AIOCPG_URL=local://demo",
        transient=True,
    )


def _not_ready(error: StatusError) -> EngineUnavailableError:
    return EngineUnavailableError(
        "corosync is not ready yet: it is starting, forming a ring, or has a full queue",
        "try again; if it stays so, look at 'corosync-cfgtool -s' and the log",
        transient=True,
    )


def _no_access(error: StatusError) -> EngineUnavailableError:
    user = _user_name()
    return EngineUnavailableError(
        f"corosync does not let uid {os.geteuid()} ({user}) in",
        f"root puts a file into /etc/corosync/uidgid.d that reads\n    uidgid {{\n        uid: {user}\n    }}\n"
        "and runs 'corosync-cfgtool -R'; 'gid: NAME' lets in all whose primary group it is",
    )


def _no_shared_memory(error: StatusError) -> EngineUnavailableError:
    return EngineUnavailableError(
        "corosync's socket is reachable but its shared memory is not",
        "this process has a /dev/shm of its own, as containers do: share the host's (docker run --ipc=host, or bind "
        "mount /dev/shm), since libqb talks through files there",
    )


def _shared_memory_full(error: StatusError) -> EngineUnavailableError:
    return EngineUnavailableError(
        no_space(),
        "where the daemon runs, enlarge it ('mount -o remount,size=1G /dev/shm', docker run --shm-size) or remove what "
        "killed daemons have left in it (qb-PID-* of a PID that does not run; the docs on containers say how); each "
        "group and each connection takes one handle",
        transient=True,
    )


def _no_service(error: StatusError) -> EngineUnavailableError:
    return EngineUnavailableError(
        "this corosync has no CPG service", "it was built or configured without it; use a stock corosync 3.1"
    )


def _no_resources(error: StatusError) -> EngineUnavailableError:
    return EngineUnavailableError(
        "no memory or other resources for a connection to corosync",
        "look at the limits of both processes",
        transient=True,
    )


def _anything_else(error: StatusError) -> EngineUnavailableError:
    return EngineUnavailableError(f"corosync refused: {error}", "look at corosync's log")


_DIAGNOSES: dict[int, Callable[[StatusError], EngineUnavailableError]] = {
    Status.LIBRARY: _not_running,
    Status.TRY_AGAIN: _not_ready,
    Status.ACCESS: _no_access,
    Status.NOT_EXIST: _no_shared_memory,
    Status.NO_SPACE: _shared_memory_full,
    Status.NOT_SUPPORTED: _no_service,
    Status.NO_MEMORY: _no_resources,
    Status.NO_RESOURCES: _no_resources,
}


def _no_descriptor_left() -> bool:
    try:
        os.close(os.dup(0))
    except OSError as error:
        return error.errno == errno.EMFILE
    return False


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())
