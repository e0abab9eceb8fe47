"""Loading libcpg and libquorum at first use: importing aiocpg must work where Corosync is not installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiocpg.errors import EngineUnavailableError

from ._shim import ffi, lib

# The way without a daemon is named and never taken: a service that finds no cluster must not be alone with itself.
CURE = (
    "install Corosync, the package corosync; or its client library alone, where the daemon is outside, as of a "
    "container: libcpg4 on Debian, Ubuntu; corosynclib on Fedora, RHEL; corosync on Arch; a first try needs neither: "
    "AIOCPG_URL=local://demo"
)
QUORUM_CURE = (
    "install it, of the daemon's version: libquorum5 on Debian, Ubuntu; corosynclib on Fedora, RHEL; corosync on Arch"
)
_REASON_SIZE = 512


def table() -> Any:
    """
    Return libcpg's functions, a ``struct aiocpg_table *``; loads the library the first time.

    Raises:
        EngineUnavailableError: The library is missing or lacks a function. Asking again tries again.
    """
    return _loaded("libcpg", lib.aiocpg_load, CURE)


def quorum_table() -> Any:
    """Return libquorum's functions, a ``struct aiocpg_quorum_table *``; otherwise as :func:`table`."""
    return _loaded("libquorum", lib.aiocpg_quorum_load, QUORUM_CURE)


def _loaded(name: str, load: Callable[[Any, int], Any], cure: str) -> Any:
    reason = ffi.new("char[]", _REASON_SIZE)
    found = load(reason, _REASON_SIZE)
    if found == ffi.NULL:
        text = ffi.string(reason).decode(errors="replace")
        raise EngineUnavailableError(f"{name} cannot be loaded: {text}", cure)
    return found
