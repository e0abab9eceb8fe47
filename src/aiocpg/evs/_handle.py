"""The object people hold: one handle of a domain. What it does is done in the files beside this one."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from types import TracebackType

import anyio

from aiocpg._events import Address, Buffer, Guarantee
from aiocpg._payload import joined
from aiocpg._stream import Stream
from aiocpg.errors import ConnectionClosedError, CPGError
from aiocpg.evs._domain import MAX_MESSAGE_SIZE, PREFIX, Domain
from aiocpg.evs._readers import Seat
from aiocpg.evs._registry import Lease
from aiocpg.evs._routing import keys_of
from aiocpg.evs._statistics import Statistics
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._values import EvsEvent, EvsGroup, GroupLike, Membership, Stalled, as_groups
from aiocpg.evs._wire.meta import MAX_TRACE, encode_trace

log = logging.getLogger("aiocpg")


class Evs:
    """
    A handle of a domain: joins groups, sends to groups, and is read with ``async for``.

    Comes from :func:`aiocpg.evs.connect`. All handles that a process has of a domain share one endpoint, and each
    has its own groups and its own buffer. What it reads is in one order for the whole domain: messages of
    all its groups, and configurations.

    Attributes:
        context: Whatever you like (``evs_context_get``, ``evs_context_set``).
    """

    def __init__(self, lease: Lease, seat: Seat, close_timeout: float, context: object) -> None:
        self._lease = lease
        self._domain: Domain = lease.domain
        self._send_now, self._send = lease.domain.sending.send_now, lease.domain.sending.send
        self._check_place = lease.domain.place.check
        self._close_timeout = close_timeout
        self._is_closed = False
        self._reader, self._joined = seat
        self._stream: Stream[EvsEvent] = Stream(
            self._reader.inbox, f"the domain {self.domain!r}", self._domain.place.check, _nobody
        )
        self.context = context

    @property
    def domain(self) -> bytes:
        """The domain's name."""
        return self._domain.name.removeprefix(PREFIX)

    @property
    def me(self) -> Address:
        """The endpoint's address; after a loss with ``reconnect`` it may be another."""
        return self._domain.me

    @property
    def groups(self) -> tuple[EvsGroup, ...]:
        """The groups that this handle has joined, sorted, each as often as it was joined."""
        return self._joined.groups

    @property
    def max_message_size(self) -> int:
        """Bytes of payload that one message may have: 1 GiB."""
        return MAX_MESSAGE_SIZE

    @property
    def stalled(self) -> Stalled | None:
        """What holds SAFE messages up at the moment; None where nothing does. The readers are told as well."""
        return self._domain.readers.stalled

    @property
    def statistics(self) -> Statistics:
        """What the endpoint has counted so far, for all its handles together."""
        return Statistics.of(self._domain)

    # -- Groups

    async def join(self, *groups: GroupLike) -> None:
        """
        Join groups (``evs_join``): their messages that are delivered from now on come to this handle.

        What was delivered before, since the handle was opened, does not, though this endpoint has acknowledged it: give
        groups of which none may be missed to :func:`aiocpg.evs.connect`.

        Nobody else is told, and nothing is sent. A group may be joined several times, and is left as often. Messages to
        several groups that it has joined come once. It does not wait, so there is nothing to cancel.

        Args:
            groups: At most 50 at once, each up to 32 bytes.

        Raises:
            GroupNameError: One cannot be used; none was joined.
            TooManyGroupsError: They are more than 50; none was joined.
            ConnectionClosedError: This handle was closed.
        """
        self._check()
        self._joined.join(as_groups(groups))

    async def leave(self, *groups: GroupLike) -> None:
        """
        Leave groups (``evs_leave``), each once: their messages that are delivered from now on do not come.

        What was delivered before is in the handle's buffer, and is still read. It does not wait.

        Args:
            groups: At most 50 at once.

        Raises:
            NotJoinedError: One is not joined: those before it were left (``removed``), those behind it were not.
            GroupNameError: One cannot be used; none was left.
            TooManyGroupsError: They are more than 50; none was left.
            ConnectionClosedError: This handle was closed.
        """
        self._check()
        self._joined.leave(as_groups(groups))

    # -- Sending

    async def mcast_joined(self, *buffers: Buffer, guarantee: Guarantee = Guarantee.AGREED) -> Ticket:
        """
        Send one message to all groups that this handle has joined now (``evs_mcast_joined``).

        As :meth:`mcast_groups`: those joined count, each once, and not more than 255. Where it has joined none, the
        message goes to nobody, and its receipt tells the place it had.

        Example::

            ticket = await evs.mcast_joined(b"hello", guarantee=aiocpg.Guarantee.SAFE)
            receipt = await ticket.delivered()
        """
        if self._is_closed:
            raise ConnectionClosedError
        self._check_place()
        keys, data = self._joined.keys, joined(buffers, MAX_MESSAGE_SIZE)
        # "or await": what need not wait, nearly everything, is spared a coroutine.
        return self._send_now(guarantee, keys, data) or await self._send(guarantee, keys, data)

    async def mcast_groups(
        self, groups: Iterable[GroupLike], *buffers: Buffer, guarantee: Guarantee = Guarantee.AGREED
    ) -> Ticket:
        """
        Send one message to these groups (``evs_mcast_groups``), joined or not: groups are open.

        Returns once the endpoint has taken it; what is sent in one turn of the loop travels together. A message that
        is larger than one of Corosync's (some 1 MB) goes in pieces, between which others' messages find room, and the
        call returns when it is whole in the order: it is sent anew when the configuration changes meanwhile.

        FIFO, AGREED and SAFE messages are in one order at all members. UNORDERED ones overtake what is held for SAFE.
        The call waits while ``window`` bytes of this process's messages are under way, in the order of the calls; the
        window is freed as they are delivered to the handles' buffers, so it may be awaited in the task that reads.
        While an endpoint with ``reconnect`` is away, what fits into the window is taken, and goes out when it is back.

        Cancelling is safe: a cancelled call has sent nothing; a message in pieces is not delivered unless it
        was whole before.

        Args:
            groups: At most 255 different ones. One group goes in a list, too.
            buffers: The payload in pieces, 0 bytes to 1 GiB in all; they may be reused once the call returns.
            guarantee: UNORDERED, FIFO, AGREED or SAFE. FIFO is AGREED, which keeps more.

        Returns:
            A ticket: ``await ticket.delivered()`` tells what became of the message. It may be thrown away.

        Raises:
            TypeError: ``groups`` is one bare group.
            GroupNameError: A group cannot be used.
            TooManyGroupsError: They are more than 255.
            MessageTooBigError: The payload is over 1 GiB.
            ConnectionClosedError: This handle was closed.
            ConnectionLostError: The engine went away. Messages that wait were not sent.
        """
        self._check()
        keys = keys_of(as_groups(groups))
        data = joined(buffers, MAX_MESSAGE_SIZE)
        return self._send_now(guarantee, keys, data) or await self._send(guarantee, keys, data)

    async def mcast_traced(
        self, context: Buffer, groups: Iterable[GroupLike], *buffers: Buffer, guarantee: Guarantee = Guarantee.AGREED
    ) -> Ticket:
        """
        As :meth:`mcast_groups`, with the context of a trace beside the payload: :attr:`Delivery.trace` of every copy.

        What it means is the senders' and readers' affair; :func:`aiocpg.otel.traced` reads it as the W3C's. It does not
        count in the window, nor in the budget of a reader.

        Args:
            context: At most 1000 bytes; where it is empty, the message carries nothing beside the payload.
            groups: As for :meth:`mcast_groups`, and so are the others.
            buffers: The same.
            guarantee: The same.

        Raises:
            TypeError: The context is no bytes; nothing was sent.
            ValueError: It is longer; nothing was sent.
            CPGError: As :meth:`mcast_groups`.
        """
        trace = bytes(memoryview(context))  # whatever its items are, it is bytes that are counted
        if len(trace) > MAX_TRACE:
            raise ValueError(f"the context of a trace has at most {MAX_TRACE} bytes, not {len(trace)}")
        self._check()
        keys = keys_of(as_groups(groups))
        data = joined(buffers, MAX_MESSAGE_SIZE)
        if not trace:
            return self._send_now(guarantee, keys, data) or await self._send(guarantee, keys, data)
        return await self._send(guarantee, keys, data, encode_trace(trace))

    # -- Reading

    def membership_get(self) -> Membership:
        """
        The configuration that was handed out last (``evs_membership_get``); ahead of what this handle has read.

        Raises:
            ConnectionClosedError: This handle was closed.
        """
        self._check()
        now = self._domain.readers.configuration
        assert now is not None  # a handle is handed out behind the first one
        return Membership(self.me.nodeid, now.nodes, now.members, now.ring_id)

    def events(self) -> Stream[EvsEvent]:
        """
        What this handle gets, in order, beginning with the configuration in force when it was opened, with those in
        ``joined`` who came with it, this endpoint itself where it was the first. Where the endpoint is away then, it
        begins with the last configuration and what ended it: the :class:`TransitionalConfiguration`, and
        :class:`~aiocpg.Disconnected` or :class:`Resync`.

        It is the handle's one stream: for a second reader open a second handle. It holds at most
        ``max_buffered_bytes`` (payload + 256 bytes per event); past it the reader gets
        :class:`~aiocpg.SlowConsumerError` once and goes on with the configuration then in force. Other handles
        do not notice.
        """
        return self._stream

    def __aiter__(self) -> Stream[EvsEvent]:
        return self._stream

    # -- The end

    async def aclose(self) -> None:
        """
        Close this handle (``evs_finalize``); readers get what is there, then the end.

        What is delivered from now on does not come to it any more, where the process has other handles of the domain,
        and nobody notices. To read all that one has sent, wait for the last ticket first.

        The process's last waits for the outcome of all that was sent, leaves, and closes a connection of its own, all
        within ``close_timeout`` seconds, or a tenth of a second more where the connection hangs; what is out then has
        the fate ``ConnectionClosedError``. Its readers get what is delivered until then: all that this endpoint has
        acknowledged, and at the end the :class:`TransitionalConfiguration` of itself alone, with what was held then.
        Repeating does nothing. Cancelling cuts it short.
        """
        if self._is_closed or self._domain.place.is_in_child():
            return
        self._domain.place.check()
        self._is_closed = True
        await self._lease.give_back(self._reader, self._close_timeout)

    async def __aenter__(self) -> Evs:
        self._check()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._domain.place.is_in_child():
            return  # there is no loop here to wait in, and the endpoint is the parent's
        # Shielded, as a group's block is: leaving is what a cancelled task still owes the others. It is bounded.
        with anyio.CancelScope(shield=True):
            try:
                await self.aclose()
            except CPGError:
                if exc is None:
                    raise
                log.exception("closing a handle of the domain %r failed behind another error", self.domain)

    def _check(self) -> None:
        self._check_place()
        if self._is_closed or self._domain.is_over:
            self._domain.raise_over()
            raise ConnectionClosedError

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "lost" if self._domain.error else "open"
        return f"<Evs {self.domain!r} {self.me} {state}>"


def _nobody() -> None:
    """Nothing is kept for a first reader: the handle's buffer is there from its beginning."""
