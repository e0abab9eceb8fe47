"""
What goes from this process into a domain: takes messages from the calls, and hands frames to the CPG group.

What was put in one turn of the loop goes out at its end, from a callback and without a task: that is the way of nearly
everything. Where the group cannot take a frame at once, a task waits until it can, and goes on in the same order.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import anyio
import anyio.lowlevel

from aiocpg import Group
from aiocpg._events import Guarantee
from aiocpg._loop import LoopPort
from aiocpg.errors import CPGError, EngineError, GroupClosedError
from aiocpg.evs._endpoint import Endpoint
from aiocpg.evs._options import Options
from aiocpg.evs._outbox import Outbox
from aiocpg.evs._packing import MESSAGE_OVERHEAD
from aiocpg.evs._pieces import Pieces
from aiocpg.evs._ticket import Ticket
from aiocpg.evs._turns import Turns
from aiocpg.evs._wire.data import HEAD_SIZE, KEY_SIZE, MAX_KEYS, MAX_META, RECORD_SIZE

FAIR_BYTES = 224 * 1024
"""
Sends that need not wait let the loop run once in so many bytes, counted as the window counts them. What is sent between
travels together: of 64 bytes each, these are as many messages as fit into a frame of 128 KiB.
"""

_OVER = GroupClosedError, EngineError
"""
What sending raises where the group is gone, by whatever. The reader hears of it as well, perhaps a little later, and
what is left goes with it.
"""


class Sending:
    """
    The sending side of a domain, through all lives of its endpoint.

    Args:
        group: The domain's CPG group.
        port: The loop.
        options: How the domain is set up.
        max_size: Bytes that a message of the group may have.
        raise_over: Raises why nothing can be sent any more, if so.
        crashed: Called with an error of ours.

    Attributes:
        group: What frames go to; the same one under another address after coming back.
        endpoint: The endpoint's present life; None where there is none.
        outbox: What was sent and is not delivered yet.
    """

    def __init__(
        self,
        group: Group,
        port: LoopPort,
        options: Options,
        max_size: int,
        raise_over: Callable[[], None],
        crashed: Callable[[BaseException], None],
    ) -> None:
        self.group = group
        self.endpoint: Endpoint | None = None
        self._port = port
        self._raise_over = raise_over
        self._crashed = crashed
        # What is larger goes in pieces: it would not fit into a frame alone, were it for as many groups as can be.
        self._most = max_size - HEAD_SIZE - RECORD_SIZE - 1 - MAX_KEYS * KEY_SIZE
        self._piece_size = min(options.max_frame, self._most - MAX_META)
        self.outbox = Outbox(group.name, min(options.max_frame, max_size), options.window)
        self._turns = Turns()
        self._large: dict[Pieces, anyio.Event] = {}
        self._most_credit = min(FAIR_BYTES, self._most)
        self._is_over = False
        self._is_woken = False
        self._waiting: list[bytes] = []
        self._said_by: Endpoint | None = None  # whose frames these are
        self._work = anyio.Event()
        self._scope: anyio.CancelScope | None = None
        self._task = port.spawn(self._send_waiting, "evs sender", crashed)

    # -- Taking messages

    def send_now(self, guarantee: Guarantee, keys: bytes, data: bytes) -> Ticket | None:
        """Take a message, if that needs no waiting: the way that nearly all go."""
        cost = len(data) + MESSAGE_OVERHEAD
        outbox = self.outbox
        if cost > outbox.credit or type(guarantee) is not Guarantee:
            return None
        if not self._is_woken:
            self.wake()
        # Outbox.put, spelled out: what is a third of the cost of a call for others is a third of all there is here.
        outbox.credit -= cost
        ticket = Ticket()
        outbox.add_record((guarantee, keys, b"", data))
        outbox.add_ticket(ticket)
        return ticket

    async def send(self, guarantee: Guarantee, keys: bytes, data: bytes, meta: bytes = b"") -> Ticket:
        """Take a message, when it is its turn and there is room. What it carries besides does not count for that."""
        if type(guarantee) is not Guarantee:
            raise TypeError(f"a guarantee is one of aiocpg.Guarantee, not {guarantee!r}")
        if len(data) + len(meta) > self._most:
            return await self._send_in_pieces(guarantee, keys, data, meta)
        # Before the message is taken and not after it: what is cancelled here has sent nothing.
        await anyio.lowlevel.checkpoint()
        size = len(data)
        if self._turns.waiting or not self.outbox.has_room(size):
            self.outbox.lend(0)  # nobody may overtake who waits
            await self._turns.wait(lambda: self._has_room(size))
        self._raise_over()
        self.wake()
        ticket = self.outbox.put((guarantee, keys, meta, data))
        self._give_credit()
        return ticket

    def _has_room(self, size: int) -> bool:
        self._raise_over()
        return self.outbox.has_room(size)

    def _give_credit(self) -> None:
        """What the calls may put in before they have to look again."""
        self.outbox.lend(0 if self._turns.waiting or self._is_over else self._most_credit)

    async def _send_in_pieces(self, guarantee: int, keys: bytes, data: bytes, meta: bytes) -> Ticket:
        """Returns when the message stands in the order, since until then it may have to be sent anew."""
        await anyio.lowlevel.checkpoint()
        self._raise_over()
        ticket = Ticket()
        pieces = Pieces(guarantee, keys, data, self._piece_size, ticket, meta)
        whole = self._large[pieces] = anyio.Event()
        self.outbox.put_large(pieces)
        self.wake()
        try:
            await whole.wait()
        except BaseException:
            self.outbox.withdraw(pieces)
            self.wake()
            raise
        finally:
            del self._large[pieces]
        if not pieces.is_whole:
            await ticket.delivered()  # raises what became of it
        return ticket

    # -- Handing out frames

    @property
    def is_held_up(self) -> bool:
        """Whether the group takes nothing at the moment; what is to be said then goes out behind what waits."""
        return bool(self._waiting)

    def wake(self) -> None:
        """There is something to send: at the end of this turn."""
        if not self._is_woken:
            self._is_woken = True
            self._port.call_soon(self._flush_in_turn, self._crashed)

    def _flush_in_turn(self) -> None:
        self._is_woken = False
        self.flush()
        self._give_credit()

    def flush(self) -> None:
        """Send what there is to send, as far as it can be done at once."""
        if self._waiting or self._is_over:
            return
        while frames := self._collect():
            done = self._hand_over(frames)
            if done < len(frames):
                self._waiting = frames[done:]
                self._work.set()
                return

    def _collect(self) -> list[bytes]:
        endpoint = self.endpoint
        if endpoint is None or endpoint.is_closed:
            return []
        if endpoint.may_send:
            self.outbox.fill(endpoint)
        endpoint.speak(self._port.time())
        frames = endpoint.speaker.frames[:]
        endpoint.speaker.frames.clear()
        self._said_by = endpoint
        return frames

    def _hand_over(self, frames: list[bytes]) -> int:
        """Send what can be sent at once, and return how many that were."""
        with suppress(*_OVER):
            for place, frame in enumerate(frames):
                if not self.group.mcast_nowait(frame):
                    return place
        return len(frames)

    async def _send_waiting(self) -> None:
        """What runs as the sender: it sends what could not be sent at once."""
        while not self._is_over:  # in older versions of anyio the end of a life swallows the cancellation at the end
            await self._work.wait()
            self._work = anyio.Event()
            while frames := self._waiting:
                # What is left of a life that has ended, by now or meanwhile, is not sent in the next.
                if self._said_by is self.endpoint:
                    await self._send_many(frames)
                self._waiting = self._collect()
            self._give_credit()

    async def _send_many(self, frames: list[bytes]) -> None:
        with anyio.CancelScope() as self._scope, suppress(*_OVER):
            await self.group.mcast_many(frames)

    # -- What became of it

    def look(self, endpoint: Endpoint) -> list[Pieces]:
        """Note what became of frames; returns messages in pieces that have come back whole."""
        return self.outbox.returned(endpoint)

    def go_on(self, whole: list[Pieces]) -> None:
        """What came back was handed out: wake who waited for these, or for room, and say what is to be said."""
        for pieces in whole:
            self._large[pieces].set()
        self._give_credit()
        self._turns.wake()
        if self.outbox.has_something or (self.endpoint is not None and self.endpoint.has_something_to_say):
            if self._turns.waiting:
                self.wake()  # behind them, or a message in pieces would take all the room, each time
            else:
                self.flush()

    def end_life(self, error: CPGError | None) -> None:
        """The endpoint's life is over: what is out was lost, or has this fate."""
        self.endpoint = None
        if self._scope is not None:
            self._scope.cancel()
        self.outbox.end_life(error)
        for pieces, whole in self._large.items():
            if pieces.ticket.is_settled:
                whole.set()
        self._turns.wake()

    def end(self, fate: CPGError) -> None:
        """Nothing more is sent, and what is out has this fate. Repeating does nothing."""
        self._is_over = True
        self.outbox.end(fate)
        for whole in self._large.values():
            whole.set()
        self._turns.wake()
        self._task.cancel()
