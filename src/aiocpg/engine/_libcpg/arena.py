"""
Receiving: the arena that C fills during a drain, and its contents turned into Python values.

This is the hot path of every delivery: one call into C per batch, then one loop over the records.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from itertools import repeat
from typing import Any

from aiocpg._events import Address, ConfigurationChange, MemberChange, Reason, RingChange, RingId
from aiocpg._state.history import Record

from ._shim import ffi, lib
from .status import Status

KEEP = 2 * 1024 * 1024
"""Bytes an arena keeps between drains; what a bigger batch needed beyond it is given back."""

_RECORD = struct.Struct("=5I")
_NAME_AND_EVENT = struct.Struct("=10I")
_MEMBER = struct.Struct("=3I")
_NAME: int = lib.AIOCPG_NAME
_MESSAGE: int = lib.AIOCPG_MESSAGE
_CONFCHG: int = lib.AIOCPG_CONFCHG
_REASONS = {int(reason): reason for reason in Reason}
_MOST_ADDRESSES = 4096

_ROW = 16
"""Messages of one size that are cut apart by one call, which takes a fifth of the time of as many slices."""


class _Addresses(dict[tuple[int, int], Address]):
    """Addresses seen, so that a thousand messages of one sender share one object."""

    def __missing__(self, key: tuple[int, int]) -> Address:
        if len(self) >= _MOST_ADDRESSES:
            self.clear()
        address = self[key] = Address(*key)
        return address


class Arena:
    """
    Where the events of one drain are collected; one thread at a time uses it, for any handles it drains.

    Args:
        limit: Most bytes of events it may hold at once, 0 for what memory gives. Past it
            the drain fails, and with it the handle for good.
    """

    def __init__(self, limit: int = 0) -> None:
        self._arena: Any = ffi.gc(_new(limit), lib.aiocpg_arena_free)
        self._addresses = _Addresses()
        self.names: list[tuple[int, bytes]] = []
        """Of the last batch: from which record on (counted from 0) which group is meant."""

    @property
    def size(self) -> int:
        """Bytes it holds for events, used or not."""
        return int(self._arena.size)

    def drain(self, handle: int, max_events: int, max_bytes: int) -> tuple[int, list[Record]]:
        """See :func:`aiocpg.engine._libcpg.binding.drain`."""
        return self._collect(handle, lib.aiocpg_drain(handle, self._arena, max_events, max_bytes))

    def dispatch(self, handle: int, flag: int) -> tuple[int, list[Record]]:
        """See :func:`aiocpg.engine._libcpg.binding.dispatch`."""
        return self._collect(handle, lib.aiocpg_dispatch(handle, self._arena, flag))

    def _collect(self, handle: int, status: int) -> tuple[int, list[Record]]:
        arena = self._arena
        records: list[Record] = []
        self.names = []
        if arena.count:
            try:
                if arena.count != 2 or not self._decode_alone(arena, records):
                    self._decode(arena, records)
            except MemoryError:
                # The rest of the batch is gone, as it would be had C found no room for it.
                arena.lossy = handle
                status = Status.OUT_OF_MEMORY
            if arena.size > KEEP:
                lib.aiocpg_arena_trim(arena, KEEP)
        return status, records

    def _decode_alone(self, arena: Any, records: list[Record]) -> bool:
        # A name and one message, as nearly always when somebody waits for it: the same as below in a third of the time.
        both = _NAME_AND_EVENT.unpack(ffi.buffer(arena.records, _NAME_AND_EVENT.size))
        _, _, _, start, _, kind, nodeid, pid, length, count = both
        if kind != _MESSAGE or count != 1:
            return False
        data = ffi.buffer(arena.bytes, start + length)
        self.names.append((0, data[:start]))
        records.append((self._addresses[nodeid, pid], data[start:]))
        return True

    def _decode(self, arena: Any, records: list[Record]) -> None:
        # Slices of a cffi buffer are bytes, so each payload is copied once.
        data = ffi.buffer(arena.bytes, arena.used) if arena.used else b""
        addresses = self._addresses
        append = records.append
        name = b""
        start = 0
        of_all = ffi.buffer(arena.records, arena.count * _RECORD.size)
        for kind, nodeid, pid, length, count in _RECORD.iter_unpack(of_all):
            end = start + length * count
            if count > 1:
                records += zip(repeat(addresses[nodeid, pid]), _cut(data, start, length, count))
            elif kind == _MESSAGE:
                append((addresses[nodeid, pid], data[start:end]))
            elif kind == _NAME:
                name = data[start:end]
                self.names.append((len(records), name))
            elif kind == _CONFCHG:
                append(self._change(name, data[start:end], nodeid, pid))
            else:
                append(_ring(nodeid, data[start:end]))
            start = end

    def _change(self, group: bytes, data: bytes, n_members: int, n_left: int) -> ConfigurationChange:
        lines = [
            MemberChange(self._addresses[nodeid, pid], _REASONS.get(reason, Reason.UNDEFINED))
            for nodeid, pid, reason in _MEMBER.iter_unpack(data)
        ]
        members = sorted(line.address for line in lines[:n_members])
        n_gone = n_members + n_left
        return ConfigurationChange(group, tuple(members), tuple(lines[n_gone:]), tuple(lines[n_members:n_gone]))


def _cut(data: Any, start: int, length: int, count: int) -> list[bytes]:
    """Messages of one length that lie one after the other."""
    rows, rest = divmod(count, _ROW)
    messages: list[bytes] = []
    if rows:
        row = _row_of(length)
        for number in range(rows):
            messages += row.unpack_from(data, start + number * row.size)
        start += rows * row.size
    messages += [data[start + number * length : start + (number + 1) * length] for number in range(rest)]
    return messages


@lru_cache(maxsize=256)
def _row_of(length: int) -> struct.Struct:
    return struct.Struct(f"{length}s" * _ROW)


def _new(limit: int) -> Any:
    arena = lib.aiocpg_arena_new(limit)
    if arena == ffi.NULL:
        raise MemoryError
    return arena


def _ring(nodeid: int, data: bytes) -> RingChange:
    seq, *nodes = struct.unpack(f"=Q{len(data) // 4 - 2}I", data)
    return RingChange(RingId(nodeid, seq), tuple(sorted(nodes)))
