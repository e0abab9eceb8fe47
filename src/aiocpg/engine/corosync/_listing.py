"""
Listing all groups, on a handle and a thread that can be lost: ``cpg_iteration_next`` may hang where nothing reaches
it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from aiocpg._events import Address
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._raw import BUSY_CODES, Opener
from aiocpg.errors import StatusError

ALL_GROUPS = 3


def list_groups(opener: Opener) -> Mapping[bytes, tuple[Address, ...]]:
    """All groups of the cluster with their members, sorted. Blocks, perhaps for ever."""
    raw = opener.retry(opener.open, BUSY_CODES)
    try:
        found: dict[bytes, list[Address]] = {}
        for name, address in raw.request(lambda handle: list(_iterate(handle, opener))):
            found.setdefault(name, []).append(address)
        return {name: tuple(sorted(members)) for name, members in found.items()}
    finally:
        raw.finalize()


def _iterate(handle: binding.Handle, opener: Opener) -> Iterator[tuple[bytes, Address]]:
    iteration = opener.retry(lambda: binding.iteration_initialize(handle, ALL_GROUPS, None), BUSY_CODES)
    while True:
        # Who is called back stops between two lines: shutting the connection down under a line would hang for good.
        opener.raise_if_given_up()
        try:
            yield opener.retry(lambda: binding.iteration_next(iteration), BUSY_CODES)
        except StatusError as error:
            if error.code == Status.NO_SECTIONS:
                break
            raise
    binding.iteration_finalize(iteration)
