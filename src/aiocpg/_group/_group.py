"""The object people hold: one membership in one group. What it does is done in the files beside this one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from types import TracebackType
from typing import Any

import anyio

from aiocpg._events import Address, Buffer, ConfigurationChange, Event, Message, Receipt, View
from aiocpg._group._life import Life
from aiocpg._group._sender import Confirmation
from aiocpg._hub import Kinds
from aiocpg._payload import all_checked, joined
from aiocpg._state.inbox import MAX_BUFFERED_BYTES, checked_budget
from aiocpg._statistics import GroupState, GroupStatistics
from aiocpg._stream import Stream
from aiocpg.errors import CPGError

MAX_NATIVE_SIZE = 2**32 - 1
"""Bytes of a native message: libcpg counts them in 32 bits, and receivers would write past their memory beyond it."""


class Group:
    """
    A membership in a group: what is sent comes to every member, in one order for all.

    Comes from :meth:`Connection.join`. With ``connect(reconnect=...)`` it outlives the daemon, with a new membership
    each time: positions and view numbers go on, :attr:`me` may change.

    Iterating over the group itself reads one :meth:`events` that the group keeps,
    so that breaking out of the loop and coming back loses nothing.
    """

    def __init__(self, life: Life, max_message_size: int, max_buffered_bytes: int, close_timeout: float) -> None:
        self._life = life
        self._pump = life.pump
        self._send_now, self._send_soon = life.pump.sender.send_now, life.pump.sender.send_soon
        self._max_message_size = max_message_size
        self._max_buffered_bytes = max_buffered_bytes or MAX_BUFFERED_BYTES
        self._close_timeout = close_timeout
        self._own_events: Stream[Event] | None = None

    @property
    def name(self) -> bytes:
        """The group's name, as the bytes that travel."""
        return self._life.membership.name

    @property
    def me(self) -> Address:
        """This member's address."""
        return self._life.membership.me

    @property
    def members(self) -> tuple[Address, ...]:
        """
        The newest member list that has arrived, sorted by (nodeid, pid).

        It is for status pages and ahead of what readers have read: a reader decides by :attr:`Message.view`.
        """
        return self._pump.history.members

    @property
    def view(self) -> View:
        """The newest view that has arrived; ahead of the readers like :attr:`members`."""
        view = self._pump.history.view
        assert view is not None  # a group is handed out after its own join, which makes a view
        return view

    @property
    def state(self) -> GroupState:
        """Where it stands: ``member``, ``away``, ``leaving``, ``closed`` or ``lost``."""
        return self._life.state

    def statistics(self) -> GroupStatistics:
        """What this membership has counted so far. It waits for nothing and may be called after the end as well."""
        return self._life.statistics

    @property
    def max_message_size(self) -> int:
        """Bytes of payload that one message may have."""
        return self._max_message_size

    async def mcast(self, *buffers: Buffer, native: bool = False) -> None:
        """
        Send one message to every member of the group, this one included.

        Returns once the engine has taken the message; nobody has received it yet. All members of a ring see taken
        messages in one order, between the same configuration changes. Our own copy comes back through :meth:`events`
        and shows where in that order it stands. A daemon that dies or is overloaded may drop what it took;
        :meth:`mcast_confirmed` tells.

        While the cluster is congested, or 768 KiB of this group's own messages are on their way, the call waits, with
        less than 48 KiB until half of them are back; calls that wait are served in order. One that may go on may be
        overtaken by another task's. With ``reconnect`` it waits as well while the daemon is away, without bound; use a
        timeout. It may be awaited in the task that reads.

        Cancelling is safe: a cancelled call has sent nothing, and one that need not wait is sent. With ``native`` it
        may have been.

        Args:
            buffers: The payload in pieces, 0 to :attr:`max_message_size` bytes in all; they may be reused once the call
                returns.
            native: Send a message of any size below 4 GiB as libcpg does by itself, in fragments, for C peers that
                expect it. Slow; others' views may fall between the fragments, so that a member that joins meanwhile may
                miss the message; libcpg prints to stderr while it waits.

        Raises:
            MessageTooBigError: The payload is over the limit; nothing was sent.
            GroupClosedError: This side has left the group or is leaving it.
            ConnectionLostError: The engine went away; whether the message was sent is unknown. With ``reconnect`` only
                where the loss met this very call; later ones wait.
            MembershipLostError: The group saw this member go.
            EngineUnavailableError: With ``reconnect``: there is no way back.
        """
        # What need not wait, nearly everything, is spared a coroutine; and one piece of bytes the call of `joined`.
        if native or not self._send_soon(
            buffers[0]
            if len(buffers) == 1 and type(buffers[0]) is bytes and len(buffers[0]) <= self._max_message_size
            else joined(buffers, self._max_message_size)
        ):
            await self._send(buffers, native, None)

    def mcast_nowait(self, *buffers: Buffer) -> bool:
        """
        Send one message if that needs no waiting, without an ``await``: for callbacks.

        Returns whether the engine has taken it, as :meth:`mcast` says. False where a call would have to wait: for its
        turn, for room in the window, for congestion to end, or with ``reconnect`` for the daemon. Nothing was sent
        then; call :meth:`mcast`.

        It lets nobody else run, so a task that calls it in a loop has to see to that itself.

        Args:
            buffers: The payload in pieces, 0 to :attr:`max_message_size` bytes in all.

        Raises:
            MessageTooBigError: The payload is over the limit; nothing was sent.
            GroupClosedError: This side has left the group or is leaving it.
            ConnectionLostError: The engine went away; whether the message was sent is unknown.
            MembershipLostError: The group saw this member go.
            EngineUnavailableError: With ``reconnect``: there is no way back.
        """
        return self._send_now(joined(buffers, self._max_message_size))

    async def mcast_confirmed(self, *buffers: Buffer, native: bool = False) -> Receipt:
        """
        Send one message and wait until it came back: it stands in the order.

        That says "ordered, and back here". It does not say that others have it: a node that is cut off delivers to
        itself. Between being taken and coming back the call waits without bound; use a timeout.

        Cancelling before the message is taken sends nothing; afterwards it goes out and only the receipt is given up.

        Args:
            buffers: As for :meth:`mcast`.
            native: As for :meth:`mcast`.

        Returns:
            Where the message stands among those this member has received.

        Raises:
            MessageLostError: The daemon dropped the message; known once a later own message or our departure came back.
            ConnectionLostError: The engine went away; whether the message was sent is unknown.
            GroupClosedError: This side has left; if it closed hard while the message was out, its fate is unknown.
            MessageTooBigError: The payload is over the limit; nothing was sent.
            MembershipLostError: The group saw this member go.
        """
        confirmation = Confirmation()
        if native or not self._send_soon(joined(buffers, self._max_message_size), confirmation):
            await self._send(buffers, native, confirmation)
        return await confirmation.wait()

    async def mcast_many(self, messages: Iterable[Buffer]) -> None:
        """
        Send many messages in order, each item one message, with one call into C per batch.

        Returns once the engine has taken all of them. No other task's message falls between them as they leave here;
        other members' may. Sizes are checked before anything is sent.

        Cancelling leaves a prefix sent and the rest not.

        Args:
            messages: The payloads, each 0 to :attr:`max_message_size` bytes; taken in whole before the first is sent.

        Raises:
            MessageTooBigError: One is over the limit (``index`` tells which); nothing was sent.
            ConnectionLostError: The engine went away; some may have been sent. With ``reconnect`` only where some were
                taken; otherwise the call waits.
            GroupClosedError: This side has left the group or is leaving it.
            MembershipLostError: The group saw this member go.
        """
        batch = all_checked(messages, self.max_message_size)
        await self._pump.sender.send_many(batch)

    async def _send(self, buffers: tuple[Buffer, ...], native: bool, confirmation: Confirmation | None) -> None:
        limit = self._max_message_size
        data = joined(buffers, MAX_NATIVE_SIZE if native else limit)
        if len(data) > limit:
            await self._pump.sender.send_native(data, confirmation)
        else:
            await self._pump.sender.send(data, confirmation)

    def events(self, *, max_buffered_bytes: int | None = None) -> Stream[Event]:
        """
        Everything, in the agreed order: messages, configuration changes, rings, views.

        It begins here and now, not at the first read. Until somebody has read from the group, "here" is the join and
        nothing that came since is missing; afterwards the membership in force comes first, then the next event. On a
        group that has ended it gives what nobody has read, then the end. Iterators are independent of each other.

        Args:
            max_buffered_bytes: What the iterator may hold unread, counted as payload + 256 bytes per event; what
                ``join`` was given unless told, and 64 MiB where that was 0.
        """
        return self._open((), "events()", max_buffered_bytes)

    def messages(self, *, max_buffered_bytes: int | None = None) -> Stream[Message]:
        """The messages alone; otherwise as :meth:`events`. Each carries the view it stands in."""
        return self._open((Message,), "messages()", max_buffered_bytes)

    def changes(self, *, max_buffered_bytes: int | None = None) -> Stream[ConfigurationChange]:
        """The configuration changes as libcpg reports them; otherwise as :meth:`events`."""
        return self._open((ConfigurationChange,), "changes()", max_buffered_bytes)

    def views(self, *, max_buffered_bytes: int | None = None) -> Stream[View]:
        """The stable views; otherwise as :meth:`events`."""
        return self._open((View,), "views()", max_buffered_bytes)

    def _open(self, kinds: Kinds, what: str, limit: int | None) -> Stream[Any]:
        self._life.place.check()
        budget = self._max_buffered_bytes if limit is None else checked_budget(limit)
        return self._pump.hub.open(kinds, budget, f"{what} of group {self.name!r}")

    def __aiter__(self) -> Stream[Event]:
        if self._own_events is None:
            self._own_events = self.events()
        return self._own_events

    async def leave(self) -> None:
        """
        Leave the group, with everything sent.

        Takes no new sends, lets the waiting ones out, and returns when our own departure has come back; all that was
        taken before stands before it. Readers get the rest, our departure last, and then the end. It waits for no
        reader, so it may be called while reading. Repeated, or after a loss, it returns at once.

        While the daemon is away there is nothing to leave, and it returns at once.

        It waits without bound where the daemon does not answer; use a timeout. Cancelling closes hard: the handle is
        given up, others see this member go with reason PROCDOWN, and what was on its way may be lost.
        """
        await self._life.leave()

    async def __aenter__(self) -> Group:
        self._life.check_open()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._life.place.is_in_child():
            return  # there is no loop here to wait in, and the membership is the parent's
        # Shielded: leaving is what a cancelled task still owes the group. The bound cancels the leave, which closes
        # hard.
        with anyio.move_on_after(self._close_timeout, shield=True):
            try:
                await self.leave()
            except CPGError:
                if exc is None:
                    raise
                text = "! group %r: leaving failed behind another error"
                self._pump.log(logging.ERROR, text, self.name, with_error=True)

    def __repr__(self) -> str:
        return f"<Group {self.name!r} {self.me} {self.state}>"
