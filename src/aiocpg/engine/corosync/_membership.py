"""One join of one group at a corosync daemon: a handle of its own, which is never used again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from aiocpg._events import Address, ConfigurationChange, Guarantee
from aiocpg._state.history import Record
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN, Listener
from aiocpg.engine._claims import Claim
from aiocpg.engine._libcpg import binding
from aiocpg.engine._libcpg.status import Status
from aiocpg.engine.corosync._handle import LoopHandle
from aiocpg.engine.corosync._raw import BUSY_CODES, Opener, RawHandle, end_at_once
from aiocpg.errors import StatusError

JOIN_RETRY_SECONDS = 10.0
"""How long a join is tried while the daemon still knows an earlier membership of this process, or forms a ring."""

_JOIN_CODES = BUSY_CODES | {int(Status.EXIST)}

_NATIVE_CODES = BUSY_CODES | {int(Status.INTERRUPT)}
"""What a fragmented message is sent again for: congestion, and a change between its fragments."""

_LOOK_SECONDS = 0.1


def join_on_thread(opener: Opener, name: bytes) -> RawHandle:
    """
    Open a handle and ask to join. Blocks.

    Raises:
        StatusError: libcpg said no, for :data:`JOIN_RETRY_SECONDS` where waiting might help.
        GaveUp: Called back.
    """
    deadline = time.monotonic() + JOIN_RETRY_SECONDS
    raw = opener.retry(opener.open, BUSY_CODES, deadline)
    try:
        opener.retry(lambda: raw.request(lambda handle: binding.join(handle, name)), _JOIN_CODES, deadline)
    except BaseException:
        end_at_once(raw)
        raise
    return raw


def end_unseen(raw: RawHandle, me: Address) -> None:
    """
    Give a handle back whose join was asked for and is not delivered yet. Blocks, on a thread.

    To the daemon a member is a pid, and when this handle is gone before its join is delivered, another one of the same
    process may join (exec/cpg.c). That one would take this join for its own, and then this departure too. So the join
    is waited for; from then on the daemon says "try again" to the other handle until the departure is through.
    """
    deadline = time.monotonic() + JOIN_RETRY_SECONDS
    arena = binding.Arena()
    status: int = Status.OK
    while status in (Status.OK, Status.TRY_AGAIN) and time.monotonic() < deadline:
        if raw.wait_readable(_LOOK_SECONDS):
            status, records = binding.drain(raw.handle, arena, MAX_EVENTS_PER_DRAIN, MAX_BYTES_PER_DRAIN)
            if _brings(records, me):
                break
    end_at_once(raw)


def _brings(records: Sequence[Record], me: Address) -> bool:
    changes = (record for record in records if isinstance(record, ConfigurationChange))
    return any(entry.address == me for change in changes for entry in change.joined)


class CorosyncMembership:
    """See :class:`aiocpg.engine._base.Membership`."""

    def __init__(
        self, name: bytes, handle: LoopHandle, me: Address, claim: Claim, forget: Callable[[CorosyncMembership], None]
    ) -> None:
        self.name = name
        self.me = me
        self._handle = handle
        self._claim: Claim | None = claim
        self._forget = forget
        # No methods of its own around these: a call costs as much as a tenth of a message.
        self.mcast: Callable[[bytes], bool] = handle.mcast
        self.mcast_many: Callable[[Sequence[bytes]], int] = handle.mcast_many
        self.drain: Callable[[], Sequence[Record]] = self._drain_until_seen
        self._seen = False
        self._is_closing = False

    def listen(self, listener: Listener) -> None:
        self._handle.listen(listener)

    def _drain_until_seen(self) -> Sequence[Record]:
        records = self._handle.drain()
        if _brings(records, self.me):
            self._seen = True
            self.drain = self._handle.drain
        return records

    @property
    def is_sending_native(self) -> bool:
        return self._handle.is_held

    async def mcast_native(self, data: bytes) -> None:
        self._handle.raise_lost()
        self._handle.is_held = True

        def send(handle: binding.Handle) -> None:
            binding.mcast_joined(handle, Guarantee.AGREED, [data])

        # A fragment that meets a dead connection is answered with whatever stands in an uninitialised variable
        # (lib/cpg.c, send_fragments): OK, or a number that is no status. So the descriptor has the last word on both.
        try:
            await self._handle.request(send, "mcast", _NATIVE_CODES, ended=self._native_ended)
        except StatusError:
            self._handle.raise_if_hung_up()
            raise
        self._handle.raise_if_hung_up()

    def _native_ended(self) -> None:
        self._handle.is_held = False

    async def leave(self) -> None:
        await self._handle.request(lambda handle: binding.leave(handle, self.name), "leave")

    async def aclose(self, *, hard: bool = False) -> None:
        if self._is_closing:
            return  # whoever closes also releases the claim, when the handle is gone
        self._is_closing = True
        if not self._seen:
            self.abandon()
            return
        try:
            await self._handle.aclose(hard=hard)
        finally:
            self._release()

    def abandon(self) -> None:
        self._handle.abandon(end_at_once if self._seen else lambda raw: end_unseen(raw, self.me))
        self._release()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None
            self._forget(self)
