"""One join of one group at the broker: a socket of its own, which is never used again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiocpg._events import Address, RingChange
from aiocpg._state.history import Record
from aiocpg.engine._base import MAX_BYTES_PER_DRAIN, MAX_EVENTS_PER_DRAIN, Listener
from aiocpg.engine._claims import Claim
from aiocpg.engine._sequencer import MAX_NATIVE_SIZE
from aiocpg.engine.local import _wire
from aiocpg.engine.local._channel import Channel
from aiocpg.errors import ConnectionLostError, GroupClosedError, MessageTooBigError

_FLUSH = 256 * 1024
"""Bytes that are handed to the kernel at once, when there are many messages."""


class LocalMembership:
    """See :class:`aiocpg.engine._base.Membership`."""

    def __init__(
        self,
        name: bytes,
        me: Address,
        ring: RingChange,
        channel: Channel,
        claim: Claim,
        ping: Callable[[], Awaitable[None]],
        forget: Callable[[LocalMembership], None],
    ) -> None:
        self.name = name
        self.me = me
        self._ring: RingChange | None = ring
        self._channel = channel
        self._claim: Claim | None = claim
        self._ping = ping
        self._forget = forget
        self._is_sending_native = False

    def listen(self, listener: Listener) -> None:
        self._channel.listen(listener)

    def drain(self) -> Sequence[Record]:
        records: list[Record] = [] if self._ring is None else [self._ring]
        self._ring = None
        room = MAX_BYTES_PER_DRAIN
        while len(records) < MAX_EVENTS_PER_DRAIN and room > 0 and (found := self._channel.read()):
            try:
                records.append(_wire.read_record(*found, self.name))
            except _wire.WireError as error:
                self._channel.lose(ConnectionLostError(f"the broker sent what cannot be read: {error}"))
                break
            room -= len(found[1])
        self._channel.pause()
        return records

    def mcast(self, data: bytes) -> bool:
        return self._channel.send(_wire.mcast_header(len(data)), data)

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        taken = 0
        while taken < len(messages):
            frames = _some(messages, taken)
            sent = self._channel.send_whole(frames)
            taken += sent
            if sent < len(frames):
                break
        return taken

    @property
    def is_sending_native(self) -> bool:
        if self._is_sending_native and self._channel.is_flushed:
            self._is_sending_native = False
        return self._is_sending_native

    async def mcast_native(self, data: bytes) -> None:
        if len(data) > MAX_NATIVE_SIZE:
            raise MessageTooBigError(len(data), MAX_NATIVE_SIZE)
        await self._channel.send_all(_wire.mcast_header(len(data)), data)
        self._is_sending_native = True
        await self._channel.until_flushed()

    async def leave(self) -> None:
        await self._channel.send_all(_wire.frame(_wire.Kind.LEAVE))
        # The departure is drained, by somebody else. So the broker is asked for another sign that it goes on.
        await self._ping()

    async def aclose(self, *, hard: bool = False) -> None:
        self.abandon()

    def abandon(self) -> None:
        self._channel.close(GroupClosedError(self.name))
        if self._claim is not None:
            self._claim.release()
            self._claim = None
        self._forget(self)


def _some(messages: Sequence[bytes], start: int) -> list[bytes]:
    """The next messages as frames, at least one, so many that they are worth a call."""
    frames: list[bytes] = []
    size = 0
    for index in range(start, len(messages)):
        frames.append(_wire.mcast(messages[index]))
        size += len(frames[-1])
        if size >= _FLUSH:
            break
    return frames
