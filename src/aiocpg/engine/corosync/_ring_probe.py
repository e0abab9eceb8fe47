"""
Finding out the present ring.

libcpg has no call for it: a handle is told of rings to come, and of the present one only behind its own join
(exec/cpg.c takes the flag that asks for it from the join request). So a member comes into a group of its own, hears
the ring, and goes.
"""

from __future__ import annotations

import itertools
import logging
import os
import time

from aiocpg._events import RingChange
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._diagnose import lost_by
from aiocpg.engine.corosync._gate import GaveUp
from aiocpg.engine.corosync._raw import BUSY_CODES, Opener, RawHandle
from aiocpg.errors import CPGError

_SECONDS = 10.0
_LOOK_SECONDS = 0.1

_probes = itertools.count(1)

log = logging.getLogger("aiocpg")


def find_ring(opener: Opener) -> RingChange | None:
    """The present ring, or None where it could not be had within ten seconds. Blocks; on a thread of its own."""
    deadline = time.monotonic() + _SECONDS
    try:
        raw = opener.retry(opener.open, BUSY_CODES, deadline)
        try:
            opener.retry(lambda: raw.request(_join_probe), BUSY_CODES, deadline)
            return _first_ring(raw, opener, deadline)
        finally:
            raw.finalize()
    except (CPGError, GaveUp) as error:
        # Whoever reads rings still gets the next one, or the loss of the connection.
        log.warning("! the present ring could not be found out: %s", error)
        return None


def _join_probe(handle: binding.Handle) -> None:
    binding.join(handle, b"aiocpg.ring-probe.%d.%d" % (os.getpid(), next(_probes)))


def _first_ring(raw: RawHandle, opener: Opener, deadline: float) -> RingChange | None:
    arena = binding.Arena()
    while time.monotonic() < deadline and not opener.has_given_up:
        if raw.wait_readable(_LOOK_SECONDS):
            status, records = binding.drain(raw.handle, arena, 16, 65536)
            for record in records:
                if isinstance(record, RingChange):
                    return record
            if status not in (Status.OK, Status.TRY_AGAIN):
                raise lost_by(status)
    return None
