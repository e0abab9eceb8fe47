"""
One socket to the broker in the event loop: frames in, frames out, lost once.

It reads only when it is drained, and never more than it is asked for, so what is not wanted yet waits in the kernel and
then at the broker.
"""

from __future__ import annotations

import os
import socket
import weakref
from collections.abc import Sequence
from typing import Protocol

import anyio

from aiocpg._loop import LoopPort, Timer, Watch
from aiocpg.engine.local._wire import Frames, Kind, WireError, read_bye
from aiocpg.errors import ConnectionLostError, CPGError

_CHUNK = 256 * 1024
"""Bytes that are read at once."""

_open: weakref.WeakSet[Channel] = weakref.WeakSet()


class ChannelOwner(Protocol):
    """Who is told what happens to a channel. All calls come in the loop."""

    def on_readable(self) -> None:
        """There may be something to drain."""

    def on_writable(self) -> None:
        """What met congestion may be sent again."""

    def on_lost(self, error: CPGError) -> None:
        """The channel is dead, and was not closed by us."""


class Channel:
    """
    A socket that has been welcomed by the broker.

    Args:
        sock: Owned by the channel from here on.
        frames: What has come already.
        port: The loop.
        world: The broker's URL, for errors.

    Attributes:
        lost: Why it is dead, once it is.
    """

    def __init__(self, sock: socket.socket, frames: Frames, port: LoopPort, world: str) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._frames = frames
        self._port = port
        self._world = world
        self._owner: ChannelOwner | None = None
        self._watch: Watch | None = None
        self._again: Timer | None = None
        self._unsent = memoryview(b"")
        self._closed = False
        self._changed = anyio.Event()
        self.lost: CPGError | None = None
        _open.add(self)

    def listen(self, owner: ChannelOwner) -> None:
        """Register the socket with the loop."""
        self._owner = owner
        self._watch = self._port.watch(self._sock.fileno(), owner.on_readable, self._on_writable, self._crashed)
        self._come_again()

    # -- In

    def read(self) -> tuple[int, bytes] | None:
        """
        The next frame; None when there is none now.

        A loss shows behind the frames that came before it, and is told to the owner in a later turn.
        """
        if self.lost is not None or self._closed:
            return None
        try:
            found = self._frames.next()
            if found is None and self._receive():
                found = self._frames.next()
        except WireError as error:
            self.lose(ConnectionLostError(f"the broker of {self._world} does not speak our protocol: {error}"))
            return None
        if found is not None and found[0] == Kind.BYE:
            self.lose(ConnectionLostError(f"the broker of {self._world} ended it: {read_bye(found[1])}"))
            return None
        return found

    def pause(self) -> None:
        """Nothing more is read in this turn: see to it that the owner is called again if there is more."""
        if self._frames.has_next:
            self._come_again()

    def _receive(self) -> bool:
        try:
            data = self._sock.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            self.lose(self.gone(error))
            return False
        if not data:
            self.lose(self.gone())
            return False
        self._frames.feed(data)
        return True

    def _come_again(self) -> None:
        if self._again is None and self._frames.has_next:
            self._again = self._port.call_later(0, self._on_again, self._crashed)

    def _on_again(self) -> None:
        self._again = None
        if self._owner is not None and self.lost is None and not self._closed:
            self._owner.on_readable()

    # -- Out

    @property
    def is_flushed(self) -> bool:
        """Whether all that was taken is with the kernel."""
        return not self._unsent

    def send(self, *pieces: bytes) -> bool:
        """
        Take bytes, all or none; False when there is no room. Some of them may go out later, before anything else.

        Raises:
            ConnectionLostError: The channel is dead.
        """
        self.raise_lost()
        if self._unsent:
            return False
        sent = self._try(pieces)
        if sent is None:
            return False
        if sent < sum(map(len, pieces)):
            self._keep(b"".join(pieces), sent)
        return True

    def send_whole(self, messages: Sequence[bytes]) -> int:
        """Take frames in order, each wholly or not at all; answers how many. Raises as :meth:`send`."""
        self.raise_lost()
        sent = None if self._unsent else self._try((b"".join(messages),))
        if sent is None:
            return 0
        for taken, message in enumerate(messages):
            if sent < len(message):
                if sent:
                    self._keep(message, sent)
                else:
                    self._want_writable()
                return taken + (sent > 0)
            sent -= len(message)
        return len(messages)

    def _try(self, pieces: Sequence[bytes]) -> int | None:
        try:
            return self._sock.sendmsg(pieces)
        except BlockingIOError:
            self._want_writable()
            return None
        except OSError as error:
            # What came before the end has yet to be read; the end itself is met there.
            raise self.gone(error) from error

    def _keep(self, data: bytes, sent: int) -> None:
        self._unsent = memoryview(data)[sent:]
        self._want_writable()

    def _want_writable(self) -> None:
        if self._watch is not None:
            self._watch.want_writable()

    def _on_writable(self) -> None:
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except BlockingIOError:
                self._want_writable()
                return
            except OSError:
                return  # the end is met where it is read
            self._unsent = self._unsent[sent:]
        self._turn()
        if self._owner is not None:
            self._owner.on_writable()

    async def send_all(self, *pieces: bytes) -> None:
        """Take bytes when there is room. Cancelled, nothing was sent. Raises as :meth:`send`."""
        while not self.send(*pieces):
            await self._change()

    async def until_flushed(self) -> None:
        """Wait until all that was taken is with the kernel. Raises as :meth:`send`."""
        while not self.is_flushed:
            await self._change()
            self.raise_lost()

    async def _change(self) -> None:
        self._want_writable()
        await self._changed.wait()

    def _turn(self) -> None:
        reached, self._changed = self._changed, anyio.Event()
        reached.set()

    # -- The end

    def raise_lost(self) -> None:
        """Raise why the channel is dead, if it is."""
        if self.lost is not None:
            raise self.lost.fresh()

    def gone(self, error: OSError | None = None) -> ConnectionLostError:
        """The loss that an end of the socket means; the same words whichever call meets it."""
        lost = ConnectionLostError(f"the broker of {self._world} went away; the next connect starts another")
        lost.__cause__ = error
        return lost

    def lose(self, error: CPGError) -> None:
        """The channel is dead: out of the loop at once, since a hung-up descriptor stays readable for ever."""
        if self.lost is None and not self._closed:
            self.lost = error
            self._leave_loop()
            self._turn()
            if self._owner is not None:
                self._port.call_later(0, lambda: self._tell_owner(error), self._crashed)

    def _tell_owner(self, error: CPGError) -> None:
        if self._owner is not None and not self._closed:
            self._owner.on_lost(error)

    def _crashed(self, error: BaseException) -> None:
        lost = ConnectionLostError(f"a fault in aiocpg itself, please report it: {error!r}")
        lost.__cause__ = error
        self.lose(lost)

    def close(self, error: CPGError) -> None:
        """Give everything back; whoever waits gets the error. Repeating does nothing."""
        if not self._closed:
            self._closed = True
            self._leave_loop()
            self._sock.close()
            if self.lost is None:
                self.lost = error
            self._turn()

    def _leave_loop(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def close_in_child(self) -> None:
        """After a fork: a copy of the socket would hide our parent's end from the broker. The loop is not touched."""
        self._sock.close()


def _close_all_in_child() -> None:
    for channel in list(_open):
        channel.close_in_child()


os.register_at_fork(after_in_child=_close_all_in_child)
