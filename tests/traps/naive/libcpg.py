"""libcpg through ctypes, as one calls it first: nothing is checked, and nothing stands between it and a mistake."""

from __future__ import annotations

import ctypes
import select
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, byref, c_int, c_size_t, c_uint32, c_uint64, c_void_p

CPG = ctypes.CDLL("libcpg.so.4")
CPG.cpg_mcast_joined.argtypes = [c_uint64, c_int, c_void_p, c_uint32]
for name in ("cpg_join", "cpg_leave", "cpg_fd_get"):
    getattr(CPG, name).argtypes = [c_uint64, c_void_p]
CPG.cpg_dispatch.argtypes = [c_uint64, c_int]
OK = 1
ALL = 2
AGREED = 2


class Name(ctypes.Structure):
    _fields_ = (("length", c_uint32), ("value", ctypes.c_char * 128))


class Address(ctypes.Structure):
    _fields_ = (("nodeid", c_uint32), ("pid", c_uint32), ("reason", c_uint32))


class Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_char_p), ("length", c_size_t))


DELIVER = CFUNCTYPE(None, c_uint64, POINTER(Name), c_uint32, c_uint32, c_void_p, c_size_t)
CONFCHG = CFUNCTYPE(
    None, c_uint64, POINTER(Name), POINTER(Address), c_size_t, POINTER(Address), c_size_t, POINTER(Address), c_size_t
)


class Callbacks(ctypes.Structure):
    _fields_ = (("deliver", DELIVER), ("confchg", CONFCHG))


def ignore(*_: object) -> None:
    """A callback."""


def initialize(deliver: Callable[..., None] = ignore) -> int:
    """Return a handle."""
    callbacks = Callbacks(DELIVER(deliver), CONFCHG(ignore))
    kept.append(callbacks)
    handle = c_uint64()
    assert CPG.cpg_initialize(byref(handle), byref(callbacks)) == OK
    return handle.value


kept: list[Callbacks] = []


def join(handle: int, name: bytes) -> int:
    """Return the status."""
    return int(CPG.cpg_join(handle, byref(Name(len(name), name))))


def mcast(handle: int, *pieces: bytes) -> int:
    """Return the status."""
    vector = (Piece * len(pieces))(*(Piece(piece, len(piece)) for piece in pieces))
    return int(CPG.cpg_mcast_joined(handle, AGREED, vector, len(pieces)))


def dispatch(handle: int) -> int:
    """Wait until there is something, and dispatch it; return the status."""
    fd = c_int()
    CPG.cpg_fd_get(handle, byref(fd))
    select.select([fd.value], [], [], 30)
    return int(CPG.cpg_dispatch(handle, ALL))
