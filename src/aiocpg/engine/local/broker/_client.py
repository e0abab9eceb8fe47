"""One socket of a client at the broker: its frames in, its frames out, and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections import deque
from typing import Protocol, cast

from aiocpg._events import Address
from aiocpg._state.history import Record
from aiocpg.engine._sequencer import MAX_MESSAGE_SIZE, Seat, Sequencer
from aiocpg.engine.local import _wire
from aiocpg.engine.local._wire import CLIENT_LIMITS, STRANGER_LIMITS, Frames, Hello, Kind, Refusal, Welcome, WireError
from aiocpg.engine.local.broker._limits import Limits
from aiocpg.engine.local.broker._turns import Turns
from aiocpg.errors import AlreadyJoinedError

log = logging.getLogger("aiocpg")

NODEID = 1
"""There is one node."""

_CREDENTIALS = struct.Struct("iII")


class Host(Protocol):
    """What a client needs of the broker."""

    limits: Limits
    sequencer: Sequencer
    touched: set[Client]
    turns: Turns

    def admit(self, client: Client) -> str | None:
        """Count a socket, or say why there is no room for it."""

    def forget(self, client: Client) -> None:
        """A socket is gone."""

    def join(self, client: Client, name: bytes, address: Address) -> None:
        """Make a client a member. Raises AlreadyJoinedError."""

    def leave(self, client: Client) -> None:
        """A member leaves."""

    def drop(self, client: Client) -> None:
        """A member is gone, or is cut off."""

    def encoded(self, record: Record) -> bytes:
        """A record as a frame."""

    def relieved(self, client: Client) -> None:
        """Some of what waited for a client is gone."""


class Client(asyncio.Protocol):
    """
    A client: a stranger, then a connection or a member.

    Attributes:
        process: The pid of who connected, whatever it claims to be.
        backlog: Bytes of frames that wait for it here.
        seat: Its place in a group, while it is a member.
        is_ending: Whether it was told the end, or left; nothing it sends counts any more.
        is_waiting: For its turn, with frames that have come.
    """

    def __init__(self, broker: Host) -> None:
        self._broker = broker
        self._frames = Frames(STRANGER_LIMITS)
        self._outbox: deque[bytes] = deque()
        self._transport: asyncio.Transport
        self._is_known = False
        self._is_asking = False
        self._is_full = False
        self._is_held = False
        self._is_reading = True
        self._timer: asyncio.TimerHandle | None = None
        self.process = 0
        self.backlog = 0
        self.seat: Seat | None = None
        self.is_ending = False
        self.is_waiting = False
        self.name = "a stranger"

    # -- The transport's calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted."""
        self._transport = cast(asyncio.Transport, transport)
        limits = self._broker.limits
        self._transport.set_write_buffer_limits(high=limits.chunk, low=limits.chunk // 4)
        self.process, uid = _credentials(self._transport)
        if uid != os.geteuid():
            self.refuse(Refusal.MALFORMED, f"it serves uid {os.geteuid()}, not {uid}")
        elif why := self._broker.admit(self):
            self.refuse(Refusal.FULL, why)
        else:
            self.expect_end(limits.hello_seconds, "it did not introduce itself")

    def data_received(self, data: bytes) -> None:
        """Bytes came, so many as one read gives: each client has its turn."""
        if not self.is_ending:
            self._frames.feed(data)
            self._broker.turns.come(self)
            self.regulate()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, and whoever was behind it."""
        self.is_ending = True
        self._stop_timer()
        self._outbox.clear()
        self.backlog = 0
        self._broker.forget(self)

    def pause_writing(self) -> None:
        """The kernel takes no more, and the transport holds enough."""
        self._is_full = True

    def resume_writing(self) -> None:
        """There is room again."""
        self._is_full = False
        # Not now: asyncio calls this in the middle of a write, and ends a transport twice that is closed there.
        asyncio.get_running_loop().call_soon(self._relieve)

    def _relieve(self) -> None:
        self.flush()
        self._broker.relieved(self)

    # -- In

    def step(self) -> bool:
        """Take a few of the frames that have come; returns whether there are more to take."""
        try:
            for _ in range(self._broker.limits.frames):
                if not self._may_take() or (found := self._frames.next()) is None:
                    return False
                self._take_frame(*found)
        except WireError as error:
            self._complain(error)
        return self._may_take() and self._frames.has_next

    def _complain(self, error: WireError) -> None:
        log.warning("%s does not speak the protocol: %s", self.name, error)
        if self._is_known:
            self.end(f"it does not speak the protocol: {error}")
        else:
            self.refuse(Refusal.MALFORMED, str(error))

    def _may_take(self) -> bool:
        # A member's frames become the backlog of others, which the broker watches; a connection's become its own.
        if self.is_ending:
            return False
        return not self._is_held if self.seat is not None else self.backlog < self._broker.limits.answers

    def hold(self, is_held: bool) -> None:
        """Take and read nothing more from it, as long as it is a member, or go on."""
        self._is_held = is_held
        self.regulate()
        if not is_held:
            self._come_again()

    def _come_again(self) -> None:
        if self._may_take() and self._frames.has_next:
            self._broker.turns.wait(self)

    def regulate(self) -> None:
        """Read from it while what was read is taken, or is of no account."""
        is_reading = self.is_ending or (self._may_take() and not self.is_waiting)
        if is_reading != self._is_reading and not self._transport.is_closing():
            self._is_reading = is_reading
            if is_reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _take_frame(self, kind: int, body: bytes) -> None:
        if not self._is_known:
            if kind != Kind.HELLO:
                raise WireError(f"a frame of kind {kind} before a HELLO")
            self._introduce(_wire.read_hello(body))
        elif self.seat is not None and kind == Kind.MCAST:
            self._broker.sequencer.mcast(self.seat, body)
        elif self.seat is not None and kind == Kind.LEAVE:
            self._broker.leave(self)
        elif self._is_asking and kind in (Kind.ASK_MEMBERS, Kind.ASK_GROUPS, Kind.PING):
            self._answer(kind, *_wire.read_token(body))
        else:
            raise WireError(f"a frame of kind {kind} where it does not belong")

    def _introduce(self, hello: Hello) -> None:
        if hello.version != _wire.VERSION:
            self.refuse(Refusal.VERSION, f"it speaks version {_wire.VERSION} of the protocol, not {hello.version}")
            return
        self.name = f"{NODEID}:{hello.pid}" + (f" in {hello.group!r}" if hello.group else "")
        self._is_known = True
        self._is_asking = not hello.group
        self._frames.limits = CLIENT_LIMITS
        self._stop_timer()
        self.put(_wire.welcome(Welcome(NODEID, MAX_MESSAGE_SIZE)))
        if not hello.group:
            self.put(_wire.record(self._broker.sequencer.ring(NODEID)))
            return
        try:
            self._broker.join(self, hello.group, Address(NODEID, hello.pid))
        except AlreadyJoinedError:
            self._outbox.clear()
            self.refuse(Refusal.ALREADY_JOINED, f"{hello.pid} is a member")

    def _answer(self, kind: int, token: int, group: bytes) -> None:
        sequencer = self._broker.sequencer
        if kind == Kind.PING:
            self.put(_wire.pong(token))
        elif kind == Kind.ASK_GROUPS:
            self.put(_wire.groups(token, sequencer.groups(NODEID)))
        else:
            self.put(_wire.members(token, sequencer.members(NODEID, group)))

    # -- Out

    def take(self, record: Record) -> None:
        """A member's record, from the order."""
        self.put(self._broker.encoded(record))

    def put(self, frame: bytes) -> None:
        """Keep a frame until the end of the turn."""
        self._outbox.append(frame)
        self.backlog += len(frame)
        self._broker.touched.add(self)

    def flush(self) -> None:
        """Hand over what there is room for."""
        outbox = self._outbox
        while outbox and not self._is_full and not self._transport.is_closing():
            self._transport.write(b"".join(self._some()))
        if self.is_ending and not outbox and not self._transport.is_closing():
            self._transport.close()
        elif not self._is_reading:
            self.regulate()
            self._come_again()

    def _some(self) -> list[bytes]:
        frames: list[bytes] = []
        size = 0
        while self._outbox and size < self._broker.limits.chunk:
            frames.append(self._outbox.popleft())
            size += len(frames[-1])
        self.backlog -= size
        return frames

    # -- The end

    def refuse(self, why: Refusal, text: str) -> None:
        """Do not let it in."""
        self._finish(_wire.refused(why, text))

    def expect_end(self, seconds: float, why: str) -> None:
        """Cut it off unless it is gone, or has introduced itself, by then."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self.end, why)

    def end(self, why: str) -> None:
        """
        Cut it off: what waits for it is thrown away, and the reason comes instead.

        A stranger is told nothing: an end before a word is what clients take for a broker that was going.
        """
        if self._is_known:
            self._finish(_wire.bye(why))
        else:
            self.is_ending = True
            self._transport.abort()

    def _finish(self, frame: bytes) -> None:
        if self.is_ending:
            return
        self.is_ending = True
        self._outbox.clear()
        self.backlog = 0
        self._broker.drop(self)
        self.regulate()
        self._stop_timer()
        seconds = self._broker.limits.farewell_seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._transport.abort)
        self.put(frame)
        self.flush()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _credentials(transport: asyncio.Transport) -> tuple[int, int]:
    """The pid and the uid of who connected."""
    sock: socket.socket = transport.get_extra_info("socket")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(credentials)
    return pid, uid
