"""Loading libcpg at first use: importing aiocpg must work where Corosync is not installed."""

from __future__ import annotations

from typing import Any

from aiocpg.errors import EngineUnavailableError

from ._shim import ffi, lib

# The way without a daemon is named and never taken: a service that finds no cluster must not be alone with itself.
CURE = (
    "install Corosync, the package corosync; or its client library alone, where the daemon is outside, as of a "
    "container: libcpg4 on Debian, Ubuntu; corosynclib on Fedora, RHEL; corosync on Arch; a first try needs neither: "
    "AIOCPG_URL=local://demo"
)
_REASON_SIZE = 512


def table() -> Any:
    """
    Return libcpg's functions, a ``struct aiocpg_table *``; loads the library the first time.

    Raises:
        EngineUnavailableError: The library is missing or lacks a function. Asking again tries again.
    """
    reason = ffi.new("char[]", _REASON_SIZE)
    found = lib.aiocpg_load(reason, _REASON_SIZE)
    if found == ffi.NULL:
        text = ffi.string(reason).decode(errors="replace")
        raise EngineUnavailableError(f"libcpg cannot be loaded: {text}", CURE)
    return found
