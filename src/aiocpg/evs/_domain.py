"""
One endpoint in one event loop: reads its CPG group, sends, keeps time, comes back, and ends.

What comes out of the group drives the state machine, by callbacks, and so does at most one timer; what is to be said
goes out in the same turn of the loop. Tasks are only there for what has to wait: leaving, coming back, a group that
takes nothing at the moment.
"""

from __future__ import annotations

import logging
import random
from contextlib import suppress

import anyio
import anyio.lowlevel

from aiocpg import Connection, Group
from aiocpg._events import Address, ConfigurationChange, Disconnected, Message, RingChange
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
from aiocpg.evs._readers import Readers
from aiocpg.evs._reading import Batch, Reading
from aiocpg.evs._returns import Returns
from aiocpg.evs._sending import Sending
from aiocpg.evs._values import Resync

log = logging.getLogger("aiocpg")

PREFIX = b"aiocpg.evs1:"
"""Of the name of a domain's CPG group. The number is that of the wire format."""

MAX_MESSAGE_SIZE = 1024 * 1024 * 1024
"""Bytes that a message may have; what is larger than a frame goes in pieces."""


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
        self.sending = Sending(group, port, options, connection.max_message_size, self.raise_over, self.on_crash)
        self._changed: anyio.Event | None = None
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._is_deaf = False
        self._returns = Returns()
        self._has_warned = False
        self.is_over = False
        self._leaving: Task | None = None
        self._left = anyio.Event()
        self._coming_back: Task | None = None
        self._joined_again = anyio.Event()
        self._joined_again.set()
        self._reading = Reading(group, port, self)

    @property
    def me(self) -> Address:
        """The endpoint's address."""
        return self._group.me

    @property
    def name(self) -> bytes:
        """Of its CPG group."""
        return self._group.name

    @property
    def said(self) -> bytes:
        """The domain's name, as people know it."""
        return self._group.name.removeprefix(PREFIX)

    @property
    def connection(self) -> Connection:
        """What it talks through."""
        return self._connection

    @property
    def under_way(self) -> int:
        """Bytes of own messages that are not delivered here yet."""
        return self.sending.outbox.under_way

    async def begin(self) -> None:
        """Read what has come, and wait for the first configuration. Raises what ended the domain before."""
        self._reading.begin()
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

    # -- Reading

    def on_end(self, error: CPGError | None) -> None:
        """See :class:`aiocpg.evs._reading.Taker`."""
        if isinstance(error, ConnectionClosedError):
            self.abandon()
        elif error is not None:
            self.fail(error)
        else:
            has_gone = self._endpoint is None or self._endpoint.is_closed
            # Where the group has not seen this endpoint go, it was given up, and what is out may yet be delivered.
            self._end_life(None if has_gone else ConnectionClosedError())
            if self.is_over or self._leaving is None:
                self._end(None, ConnectionClosedError())
            else:  # it left to return
                self._coming_back = self._port.spawn(self._come_back, "evs coming back", self.on_crash)

    def on_missed(self, error: SlowConsumerError) -> None:
        """The loop stood still for so long that frames were lost on the way here: nothing that comes now counts."""
        why = f"the event loop stood still: {error}"
        self._is_deaf = True
        self._end_life(ConnectionLostError(why))
        self.readers.tell(Resync(why))
        self.readers.flush()
        self._leave_to_return(why)

    def on_batch(self, batch: Batch) -> None:
        """See :class:`aiocpg.evs._reading.Taker`."""
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
            self.sending.endpoint = self._endpoint
        return self._endpoint

    def _go_on(self) -> None:
        """Something came, or it is time: hand out what follows, and see to what is to be sent, and when."""
        endpoint = self._endpoint
        if endpoint is None:
            return
        whole = self.sending.look(endpoint)
        now = self._port.time()
        if self._timer is not None and now > self._timer_at:
            endpoint.excuse(now - self._timer_at)
            self._timer_at = now  # once; it is called in a moment
        endpoint.look(now)
        self._hand_out(endpoint)
        self.sending.go_on(whole)
        if endpoint.disagreeing is not None:
            self._warn_of(endpoint.disagreeing)
        # What is owed and cannot be said is said when it can: with a time for that the timer would spin till then.
        self._set_timer(endpoint.look_at if self.sending.is_held_up else endpoint.deadline)
        if endpoint.must_return and not endpoint.is_closed and self._leaving is None:
            self._leave_to_return(endpoint.must_return)

    def _warn_of(self, member: Address) -> None:
        if not self._has_warned:
            self._has_warned = True
            what = "strict_views=%s here, and not at %s: all members of a domain have to choose the same"
            log.warning("! domain %r: " + what, self.said, self.options.settings.strict_views, member)

    def _hand_out(self, endpoint: Endpoint) -> None:
        happenings = endpoint.happenings
        endpoint.happenings = []
        for happening in happenings:
            if type(happening) is Delivered:
                first = self.readers.deliver(happening)
                if happening.entry.seq:
                    self.sending.outbox.delivered(happening.entry, first, happening.configuration)
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
        self._timer = self._port.call_later(delay, self._time_is_up, self.on_crash)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        late = self._port.time() - self._timer_at
        self._timer = None
        if self._endpoint is not None:
            self._endpoint.excuse(late)
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
        self._stop_timer()
        self.sending.end_life(error)
        self._turn()

    def _leave_to_return(self, why: str) -> None:
        log.warning("! domain %r: %s: leaving, to come back as a newcomer", self.said, why)
        if self._leaving is None:
            self._left = anyio.Event()
            self._leaving = self._port.spawn(self._leave_group, "evs leaving", self.on_crash)

    async def _leave_group(self) -> None:
        with suppress(CPGError):  # the reader hears how it ended
            await self._group.leave()
        self._left.set()

    async def _come_back(self) -> None:
        await self._left.wait()  # the stream may have ended sooner, and until then this process holds the group
        self._leaving = None
        self._is_deaf = False
        await anyio.sleep(self._returns.pause(self._port.time()))
        self._joined_again = anyio.Event()
        try:
            self._group = self.sending.group = await self._connection.join(self._group.name)
        except ConnectionClosedError:
            self.abandon()
        except CPGError as error:
            self.fail(error)
        else:
            if not self.is_over:  # in the turn in which it came back, for which a cancellation is too late on trio
                self._reading = Reading(self._group, self._port, self)
                self._reading.begin()
        finally:
            self._joined_again.set()

    # -- The end

    async def drain(self) -> None:
        """Wait until the outcome of everything that was sent is known."""
        while not self.sending.outbox.is_empty and self.error is None:
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
            await self._joined_again.wait()  # coming back is cancelled, but may have brought another group by now
            scope.cancel()
            await self._group.leave()  # cancelled at once, which closes hard

    def abandon(self) -> None:
        """End at once. Repeating does nothing."""
        self.is_over = True
        self._end(None, ConnectionClosedError())

    def fail(self, error: CPGError) -> None:
        """The world has ended it."""
        self._end(error, error)

    def on_crash(self, error: BaseException) -> None:
        """Something raised in here, or somebody has cancelled what runs in here: it is over."""
        lost = ConnectionLostError(f"an error inside: {error!r}")
        lost.__cause__ = error
        self.fail(lost)
        # A member that nobody reads any more would hold up all others until somebody closes the handles.
        self._port.spawn(self.give_up, "evs giving up", lambda error: log.warning("! domain %r: %r", self.said, error))

    def _end(self, error: CPGError | None, fate: CPGError) -> None:
        self.is_over = True
        self.error = self.error or error
        self._end_life(fate)
        self.sending.end(fate)
        self.readers.end(error)
        self._turn()
        self._reading.close()
        if self._coming_back is not None:
            self._coming_back.cancel()

    async def _until_turn(self) -> None:
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _turn(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
