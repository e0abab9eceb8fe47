"""
One endpoint in one event loop: reads its CPG group, sends, keeps time, comes back, and ends.

Three things run here: a task that reads, which alone drives the state machine; a task that sends what there is to send
whenever it is woken; and at most one timer. Whatever takes part in a turn happens without an ``await``.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TypeAlias

import anyio
import anyio.lowlevel

from aiocpg import Connection, Group
from aiocpg._events import Address, ConfigurationChange, Disconnected, Event, Guarantee, Message, RingChange
from aiocpg._loop import LoopPort, Task, Timer
from aiocpg._place import Place
from aiocpg.errors import (
    ConnectionClosedError,
    ConnectionLostError,
    CPGError,
    GroupClosedError,
    SlowConsumerError,
)
from aiocpg.evs._endpoint import Counts, Delivered, Endpoint, Numbering
from aiocpg.evs._options import Options
from aiocpg.evs._outbox import Outbox
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._readers import Readers
from aiocpg.evs._returns import Returns
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._turns import Turns
from aiocpg.evs._values import Resync
from aiocpg.evs._wire.data import HEAD_SIZE, KEY_SIZE, MAX_KEYS, MAX_META, RECORD_SIZE

log = logging.getLogger("aiocpg")

PREFIX = b"aiocpg.evs1:"
"""Of the name of a domain's CPG group. The number is that of the wire format."""

MAX_MESSAGE_SIZE = 1024 * 1024 * 1024
"""Bytes that a message may have; what is larger than a frame goes in pieces."""

BYTES_PER_TURN = 128 * 1024
"""Bytes of frames that are taken in before the loop has its turn: some two thousand small messages."""

FAIR_CALLS = 256
"""
A send that need not wait still lets the loop run once in so many. They travel together, and a frame costs as much as a
hundred small messages.
"""

_Batch: TypeAlias = Sequence[Event]


class Domain:
    """
    This process's endpoint in a domain. Its handles share it.

    Args:
        connection: What it talks through.
        group: The domain's CPG group, just joined.
        port: The loop.
        options: How it is set up.

    Attributes:
        options: The same.
        place: Where it belongs.
        readers: Its handles.
        counts: What it counts.
        is_over: Whether nothing new can be done.
        error: Why, where it was not closed.
    """

    def __init__(self, connection: Connection, group: Group, port: LoopPort, options: Options) -> None:
        self._connection = connection
        self._group = group
        self._port = port
        self.options = options
        self.place = Place(port)
        self.readers = Readers()
        self.counts = Counts()
        self.error: CPGError | None = None
        self._numbering = Numbering()
        self._endpoint: Endpoint | None = None
        # What is larger goes in pieces: it would not fit into a frame alone, were it for as many groups as can be.
        self._most = connection.max_message_size - HEAD_SIZE - RECORD_SIZE - 1 - MAX_KEYS * KEY_SIZE
        self._outbox = Outbox(group.name, min(options.max_frame, connection.max_message_size), options.window)
        self._turns = Turns()
        self._large: dict[Pieces, anyio.Event] = {}
        self._is_woken = False
        self._wake = anyio.Event()
        self._changed: anyio.Event | None = None
        self._fair = FAIR_CALLS
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._sending: anyio.CancelScope | None = None
        self._is_deaf = False
        self._returns = Returns()
        self._has_warned = False
        self.is_over = False
        self._leaving: Task | None = None
        self._left = anyio.Event()
        self._reader = port.spawn(self._read, "evs reader", self._crashed)
        self._sender = port.spawn(self._send, "evs sender", self._crashed)

    @property
    def me(self) -> Address:
        """The endpoint's address."""
        return self._group.me

    @property
    def name(self) -> bytes:
        """Of its CPG group."""
        return self._group.name

    @property
    def connection(self) -> Connection:
        """What it talks through."""
        return self._connection

    @property
    def under_way(self) -> int:
        """Bytes of own messages that are not delivered here yet."""
        return self._outbox.under_way

    async def until_begun(self) -> None:
        """Wait for the first configuration. Raises what ended the domain before."""
        while self.readers.configuration is None:
            self.raise_over()
            await self._until_turn()
        self.raise_over()  # both may have come in one turn, and who begins to read behind the end would wait for ever

    def raise_over(self) -> None:
        """Raise why nothing can be done any more, if so."""
        if self.error is not None:
            raise self.error.fresh()
        if self.is_over:
            raise ConnectionClosedError

    # -- Sending

    def send_now(self, guarantee: Guarantee, keys: bytes, data: bytes) -> Ticket | None:
        """Take a message, if that needs no waiting: the way that nearly all go."""
        self._fair -= 1
        size = len(data)
        outbox = self._outbox
        if (
            self._fair < 0
            or size > self._most
            or type(guarantee) is not Guarantee
            or self._turns.waiting
            or not outbox.has_room(size)
        ):
            return None
        if not self._is_woken:
            self._wake_sender()
        return outbox.put((guarantee, keys, b"", data))

    async def send(self, guarantee: Guarantee, keys: bytes, data: bytes) -> Ticket:
        """Take a message, when it is its turn and there is room."""
        if type(guarantee) is not Guarantee:
            raise TypeError(f"a guarantee is one of aiocpg.Guarantee, not {guarantee!r}")
        if len(data) > self._most:
            return await self._send_in_pieces(guarantee, keys, data)
        # Before the message is taken and not after it: what is cancelled here has sent nothing.
        self._fair = FAIR_CALLS
        await anyio.lowlevel.checkpoint()
        size = len(data)
        if self._turns.waiting or not self._outbox.has_room(size):
            await self._turns.wait(lambda: self._has_room(size))
        self.raise_over()
        self._wake_sender()
        return self._outbox.put((guarantee, keys, b"", data))

    def _wake_sender(self) -> None:
        self._is_woken = True
        self._wake.set()

    def _has_room(self, size: int) -> bool:
        self.raise_over()
        return self._outbox.has_room(size)

    async def _send_in_pieces(self, guarantee: int, keys: bytes, data: bytes) -> Ticket:
        """Returns when the message stands in the order, since until then it may have to be sent anew."""
        await anyio.lowlevel.checkpoint()
        self.raise_over()
        ticket = Ticket()
        pieces = Pieces(guarantee, keys, data, min(self.options.max_frame, self._most - MAX_META), ticket)
        whole = self._large[pieces] = anyio.Event()
        self._outbox.put_large(pieces)
        self._wake_sender()
        try:
            await whole.wait()
        except BaseException:
            self._outbox.withdraw(pieces)
            self._wake_sender()
            raise
        finally:
            del self._large[pieces]
        if not pieces.is_whole:
            await ticket.delivered()  # raises what became of it
        return ticket

    async def _send(self) -> None:
        """What runs as the sender."""
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            self._is_woken = False
            while frames := self._collect():
                # What is left of a life that has ended is not sent in the next. Of a loss the reader hears.
                with anyio.CancelScope() as self._sending, suppress(GroupClosedError, ConnectionLostError):
                    await self._group.mcast_many(frames)

    def _collect(self) -> list[bytes]:
        endpoint = self._endpoint
        if endpoint is None or endpoint.is_closed:
            return []
        if endpoint.may_send:
            self._outbox.fill(endpoint)
        endpoint.speak(self._port.time())
        frames = endpoint.speaker.frames[:]
        endpoint.speaker.frames.clear()
        return frames

    # -- Reading

    async def _read(self) -> None:
        """What runs as the reader: one membership after the other, until it is over."""
        try:
            while True:
                await self._read_group(self._group)
                if self.is_over or self._leaving is None:
                    break  # else it left to return
                await self._come_back()
        except ConnectionClosedError:
            self.abandon()
        except CPGError as error:
            self.fail(error)
        except BaseException as error:
            if not self.is_over:  # the loop ends, or somebody cancels every task there is
                self._crashed(error)
            raise
        else:
            self._end(None, ConnectionClosedError())

    async def _read_group(self, group: Group) -> None:
        events = group.events()
        while True:
            try:
                batch = await events.receive_batch()
            except SlowConsumerError as error:
                self._missed(error)
                continue
            if not batch:
                break
            for number, part in enumerate(_parts(batch)):
                if number:
                    await anyio.lowlevel.checkpoint()
                self._take(part)
        self._end_life()

    def _missed(self, error: SlowConsumerError) -> None:
        """The loop stood still for so long that frames were lost on the way here: nothing that comes now counts."""
        why = f"the event loop stood still: {error}"
        self._is_deaf = True
        self._end_life(ConnectionLostError(why))
        self.readers.tell(Resync(why))
        self.readers.flush()
        self._leave_to_return(why)

    def _take(self, batch: _Batch) -> None:
        if self._is_deaf:
            return
        for event in batch:
            kind = type(event)
            if kind is Message:
                assert isinstance(event, Message)
                if self._endpoint is not None:
                    self._endpoint.frame(event.sender, event.data)
            elif isinstance(event, ConfigurationChange):
                self._life(event).change(event)
            elif isinstance(event, RingChange):
                if self._endpoint is not None:
                    self._endpoint.ring(event)
            elif isinstance(event, Disconnected):
                self._break_off(event)
        self._go_on()

    def _life(self, change: ConfigurationChange) -> Endpoint:
        """The endpoint's present life, which begins with its own join."""
        if self._endpoint is None:
            me = change.joined[0].address
            incarnation = random.getrandbits(32) or 1
            self._returns.begin(self._port.time())
            self._endpoint = Endpoint(me, incarnation, self.options.settings, self.counts, self._numbering)
        return self._endpoint

    def _go_on(self) -> None:
        """Something came, or it is time: hand out what follows, and see to what is to be sent, and when."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        whole = self._outbox.returned(endpoint)
        endpoint.look(self._port.time())
        self._hand_out(endpoint)
        for pieces in whole:
            self._large[pieces].set()
        self._turns.wake()
        if endpoint.disagreeing is not None:
            self._warn_of(endpoint.disagreeing)
        if self._outbox.has_something or endpoint.has_something_to_say:
            self._wake_sender()
        self._set_timer(endpoint.deadline)
        if endpoint.must_return and not endpoint.is_closed and self._leaving is None:
            self._leave_to_return(endpoint.must_return)

    def _warn_of(self, member: Address) -> None:
        if not self._has_warned:
            self._has_warned = True
            what = "strict_views=%s here, and not at %s: all members of a domain have to choose the same"
            log.warning("! domain %r: " + what, self.name, self.options.settings.strict_views, member)

    def _hand_out(self, endpoint: Endpoint) -> None:
        happenings = endpoint.happenings
        endpoint.happenings = []
        for happening in happenings:
            if type(happening) is Delivered:
                first = self.readers.deliver(happening)
                if happening.entry.seq:
                    self._outbox.delivered(happening.entry, first, happening.configuration)
            else:
                assert not isinstance(happening, Delivered)
                self.readers.tell(happening)
        self.readers.flush()
        self._turn()  # also where nothing is handed out: a message that was given up has come back, for one

    def _set_timer(self, deadline: float | None) -> None:
        if deadline is None or (self._timer is not None and self._timer_at <= deadline):
            return  # one that comes too soon looks what is due then; setting one anew for each SAFE message costs more
        self._stop_timer()
        self._timer_at = deadline
        delay = max(0.0, deadline - self._port.time())
        self._timer = self._port.call_later(delay, self._time_is_up, self._crashed)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        self._go_on()

    # -- Lives

    def _break_off(self, gap: Disconnected) -> None:
        """The daemon is gone, and the group comes back by itself."""
        self._end_life(ConnectionLostError(gap.reason))
        self.readers.tell(gap)
        self.readers.flush()

    def _end_life(self, error: CPGError | None = None) -> None:
        endpoint = self._endpoint
        if endpoint is None:
            return
        endpoint.close()
        self._go_on()
        self._endpoint = None
        if self._sending is not None:
            self._sending.cancel()
        self._stop_timer()
        self._outbox.end_life(error)
        for pieces, whole in self._large.items():
            if pieces.ticket.is_settled:
                whole.set()
        self._turns.wake()
        self._turn()

    def _leave_to_return(self, why: str) -> None:
        log.warning("! domain %r: %s: leaving, to come back as a newcomer", self._group.name, why)
        if self._leaving is None:
            self._left = anyio.Event()
            self._leaving = self._port.spawn(self._leave_group, "evs leaving", self._crashed)

    async def _leave_group(self) -> None:
        with suppress(CPGError):  # the reader hears how it ended
            await self._group.leave()
        self._left.set()

    async def _come_back(self) -> None:
        await self._left.wait()  # the stream may have ended sooner, and until then this process holds the group
        self._leaving = None
        self._is_deaf = False
        await anyio.sleep(self._returns.pause(self._port.time()))
        self._group = await self._connection.join(self._group.name)

    # -- The end

    async def drain(self) -> None:
        """Wait until the outcome of everything that was sent is known."""
        while not self._outbox.is_empty and self.error is None:
            await self._until_turn()

    async def leave(self) -> None:
        """Leave the domain, with everything sent. Cancelled, it is given up."""
        self.is_over = True
        try:
            with suppress(GroupClosedError):  # it was given up meanwhile, which is gone as well
                await self._group.leave()
            while self._endpoint is not None:
                await self._until_turn()
        finally:
            self.abandon()

    async def give_up(self) -> None:
        """Leave the domain without waiting for anybody: others see the endpoint go, perhaps with PROCDOWN."""
        self.abandon()
        with anyio.CancelScope(shield=True) as scope:
            scope.cancel()
            await self._group.leave()  # cancelled at once, which closes hard

    def abandon(self) -> None:
        """End at once. Repeating does nothing."""
        self.is_over = True
        self._end(None, ConnectionClosedError())

    def fail(self, error: CPGError) -> None:
        """The world has ended it."""
        self._end(error, error)

    def _crashed(self, error: BaseException) -> None:
        lost = ConnectionLostError(f"an error inside: {error!r}")
        lost.__cause__ = error
        self.fail(lost)
        # A member that nobody reads any more would hold up all others until somebody closes the handles.
        self._port.spawn(self.give_up, "evs giving up", lambda error: log.warning("! domain %r: %r", self.name, error))

    def _end(self, error: CPGError | None, fate: CPGError) -> None:
        self.is_over = True
        self.error = self.error or error
        self._end_life(fate)
        self._outbox.end(fate)
        self.readers.end(error)
        for whole in self._large.values():
            whole.set()
        self._turns.wake()
        self._turn()
        self._sender.cancel()
        self._reader.cancel()

    async def _until_turn(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _turn(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None


def _parts(batch: _Batch) -> Iterator[_Batch]:
    """A batch in parts that are each taken in within one turn of the loop."""
    start = size = 0
    for place, event in enumerate(batch):
        if type(event) is Message:
            size += len(event.data)
        if size >= BYTES_PER_TURN:
            yield batch[start : place + 1]
            start, size = place + 1, 0
    if start < len(batch):
        yield batch[start:]
