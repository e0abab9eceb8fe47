"""
The send side of a group: order among tasks, the window, congestion, confirmations, and what cancelling means.

A group that comes back after a loss keeps its sender: calls that have handed nothing over wait for the next membership,
what is out gets the loss.

One rule holds it together: whether to cancel is looked at before a message is handed to the engine, and nothing is
awaited after. So a cancelled call has sent nothing, and a call that sent returns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from operator import attrgetter

import anyio
import anyio.lowlevel

from aiocpg._events import Message, Receipt
from aiocpg._state.counts import Timing
from aiocpg._state.sends import OVERHEAD, SentMessages
from aiocpg._stream import FAIR_CALLS, FAIR_SECONDS
from aiocpg.engine._base import Membership
from aiocpg.errors import CPGError, MessageLostError

PAUSE_FIRST_SECONDS = 0.001
PAUSE_MOST_SECONDS = 0.05
"""Pauses between tries while congested grow from the first to the second: the daemon does not tell when it ends."""

WINDOW_SECONDS = 1.0
"""How long a full window may see nothing come back before one more message is let through, whose return then shows
which of the others the daemon has dropped."""

MESSAGES_PER_CALL = 256
"""Messages of a batch that one call into the engine takes at the most."""


_data = attrgetter("data")


class Confirmation:
    """What became of one message: a place in the order, or an error."""

    def __init__(self) -> None:
        self._settled = anyio.Event()
        self._fate: Receipt | CPGError | None = None

    def settle(self, fate: Receipt | CPGError) -> None:
        """The fate is known. The first one counts."""
        if self._fate is None:
            self._fate = fate
            self._settled.set()

    async def wait(self) -> Receipt:
        """The receipt, or the error raised."""
        await self._settled.wait()
        assert self._fate is not None
        if isinstance(self._fate, CPGError):
            raise self._fate
        return self._fate


class _Calls:
    """Counts the calls that are inside."""

    def __init__(self) -> None:
        self._count = 0
        self._none: anyio.Event | None = None

    def __enter__(self) -> None:
        self._count += 1

    def __exit__(self, *exc_info: object) -> None:
        self._count -= 1
        if self._none is not None and not self._count:
            self._none.set()

    @property
    def are_some(self) -> bool:
        return self._count > 0

    async def until_none(self) -> None:
        while self._count:
            self._none = anyio.Event()
            await self._none.wait()


class Sender:
    """
    Sends for all tasks of a group, first come first served.

    Args:
        membership: Where to.
        usable: Raises where the group must not be used: after a fork, in another loop.
        raise_closed: Raises why nothing can be sent any more, if so. Both are looked at by calls that begin.

    Attributes:
        is_closing: Whether ``raise_closed`` may have something to raise; until then it is not asked for each message.
        sent: What was sent and has not come back.
        timing: How long a sample of it took.
        congestion_waits: How often something waited because the engine took nothing.
        window_waits: How often something waited because the window was full.
    """

    def __init__(self, membership: Membership, usable: Callable[[], None], raise_closed: Callable[[], None]) -> None:
        self._membership: Membership | None = membership
        self._lost: CPGError | None = None
        self._usable = usable
        self.is_closing = False
        self._raise_closed = raise_closed
        self._turn = anyio.Lock(fast_acquire=True)
        self._is_blocked = False
        self.sent: SentMessages[Confirmation] = SentMessages()
        self.timing = Timing()
        self.congestion_waits = 0
        self.window_waits = 0
        self._overdraft = False
        self._changed: anyio.Event | None = None
        self._calls = _Calls()
        self._ended: CPGError | None = None
        self._fair = FAIR_CALLS
        self._turn_ends = 0.0

    def send_now(self, data: bytes) -> bool:
        """Send one message, if nothing is to be waited for; answers whether it was sent."""
        return self.send_soon(data, is_fair=False)

    def send_soon(self, data: bytes, confirmation: Confirmation | None = None, *, is_fair: bool = True) -> bool:
        """
        The same, but it refuses once in so many calls, for the sake of the others in the loop.

        The way that nearly all go, so what it does stands here and not in functions: a call of one costs as much as the
        engine's part of a tenth of a message. Calls that have waited and may go on now are not waited for: each would
        take a turn of the loop for one message, and behind it stand in the row again.
        """
        self._usable()
        if self.is_closing:
            self._raise_closed()
        self._fair -= 1
        if self._fair <= 0 and is_fair and not self._has_time():
            return False
        sent, membership = self.sent, self._membership
        if self._is_blocked or membership is None:
            return False
        if sent.bytes + len(data) + OVERHEAD > sent.limit and not (sent.has_room(len(data)) or self._overdraft):
            return False
        if not membership.mcast(data):
            return False
        self._overdraft = False
        if not self.timing.is_running:
            self.timing.begin(sent.next_number, time.monotonic())
        sent.sent(data, confirmation)
        return True

    def _has_time(self) -> bool:
        if time.monotonic() >= self._turn_ends:
            return False
        self._fair = FAIR_CALLS
        return True

    async def send(self, data: bytes, confirmation: Confirmation | None = None) -> None:
        """Send one message; waits for its turn, for room in the window, and for congestion to end."""
        self._raise_closed()
        with self._calls:
            await self._look_at_cancellation()
            if not self._is_blocked and self._try(data, confirmation):
                return
            async with self._turn:
                pause = PAUSE_FIRST_SECONDS
                while not self._try(data, confirmation):
                    pause = await self._wait(pause, len(data))

    async def send_many(self, messages: Sequence[bytes]) -> None:
        """Send messages in order and in one turn. Cancelled, a prefix was sent."""
        self._raise_closed()
        with self._calls:
            await self._look_at_cancellation()
            async with self._turn:
                await self._send_all(messages)

    async def _send_all(self, messages: Sequence[bytes]) -> None:
        done = 0
        pause = PAUSE_FIRST_SECONDS
        taker = self._membership
        while done < len(messages):
            if done and self._membership is not taker:
                # What the lost one took may be lost with it; going on with the rest would hide that.
                assert self._lost is not None
                raise self._lost.fresh()
            taker = self._membership
            taken = self._try_many(messages, done)
            done += taken
            pause = PAUSE_FIRST_SECONDS if taken else await self._wait(pause, len(messages[done]))

    async def send_native(self, data: bytes, confirmation: Confirmation | None = None) -> None:
        """Send a message of any size by the engine's own means. Cancelled, its fate is unknown."""
        self._raise_closed()
        with self._calls:
            await self._look_at_cancellation()
            async with self._turn:
                await self._send_one_native(data, confirmation)

    async def _send_one_native(self, data: bytes, confirmation: Confirmation | None) -> None:
        pause = PAUSE_FIRST_SECONDS
        while (membership := self._membership) is None or membership.is_sending_native or not self._has_room(len(data)):
            pause = await self._wait(pause, len(data))
        # Its own copy may be back before the call returns, so it is noted first.
        self._overdraft = False
        self._begin_timing()
        self.sent.expect(data, confirmation)
        is_taken = True
        try:
            await membership.mcast_native(data)
        except CPGError:
            is_taken = not self.sent.withdraw(data)
            self.timing.give_up()  # or the next message would be timed from here
            if self._ended is not None:  # it knows better why
                raise self._ended.fresh() from None
            raise
        finally:
            if is_taken:  # or perhaps: cancelled, it may still go out
                self.sent.count(data)

    def delivered(self, own: Sequence[Message]) -> None:
        """Own messages came back."""
        if len(own) != 1 or not self.sent.came_back_alone(own[0].data):
            self._delivered_many(own)
        if self.timing.is_running:
            self.timing.came_back(self.sent.returned, time.monotonic())
        if self._changed is not None:
            self._changed.set()

    def _delivered_many(self, own: Sequence[Message]) -> None:
        payloads = list(map(_data, own))
        done = self.sent.came_back_in_order(payloads)
        while done < len(own):
            self._came_back(own[done])
            done += 1
            done += self.sent.came_back_in_order(payloads[done:])

    def _came_back(self, message: Message) -> None:
        before = self.sent.returned
        confirmation, lost = self.sent.came_back(message.data)
        self.timing.lose(range(before, self.sent.returned - 1))
        if confirmation is not None:
            confirmation.settle(Receipt(message.position, message.view))
        for missing in lost:
            missing.settle(MessageLostError(message.group))

    def detach(self, error: CPGError) -> None:
        """The membership is lost with what it took; calls that have handed nothing over wait for the next one."""
        self._membership = None
        self._lost = error
        self._overdraft = False
        self._settle(error)
        self.wake()

    def attach(self, membership: Membership) -> None:
        """Go on with this membership."""
        self._membership = membership
        self.wake()

    @property
    def is_waiting(self) -> bool:
        """Whether a call is inside, or something that went out has not come back."""
        return self._calls.are_some or len(self.sent) > 0

    def _settle(self, fate: CPGError) -> None:
        self.timing.give_up()
        for confirmation in self.sent.settle():
            confirmation.settle(fate.fresh())

    def end(self, error: CPGError, fate: CPGError) -> None:
        """
        Nothing more goes out: calls that wait get ``error``, messages that are out and did not come back ``fate``.
        """
        self.is_closing = True
        if self._ended is None:
            self._ended = error
            self._settle(fate)
            self.wake()

    def wake(self) -> None:
        """Something changed that a waiting call may have waited for."""
        if self._changed is not None:
            self._changed.set()

    async def until_idle(self) -> None:
        """Wait until no call is inside."""
        await self._calls.until_none()

    async def _look_at_cancellation(self) -> None:
        self._fair -= 1
        if self._fair > 0:
            await anyio.lowlevel.checkpoint_if_cancelled()
        else:
            # Before the send and not after it: what is cancelled here has sent nothing.
            self._fair = FAIR_CALLS
            await anyio.lowlevel.checkpoint()
            self._turn_ends = time.monotonic() + FAIR_SECONDS

    def _has_room(self, size: int) -> bool:
        if self._ended is not None:
            raise self._ended.fresh()
        return self._overdraft or self.sent.has_room(size)

    def _try(self, data: bytes, confirmation: Confirmation | None) -> bool:
        if not self._has_room(len(data)) or self._membership is None or not self._membership.mcast(data):
            return False
        self._taken(data, confirmation)
        return True

    def _taken(self, data: bytes, confirmation: Confirmation | None) -> None:
        self._overdraft = False
        self._begin_timing()
        self.sent.sent(data, confirmation)

    def _begin_timing(self) -> None:
        if not self.timing.is_running:
            self.timing.begin(self.sent.next_number, time.monotonic())

    def _try_many(self, messages: Sequence[bytes], start: int) -> int:
        if not self._has_room(len(messages[start])) or self._membership is None:
            return 0
        most = 1 if self._overdraft else MESSAGES_PER_CALL
        batch = messages[start : start + self.sent.room_for(messages, start, most)] or messages[start : start + 1]
        taken = self._membership.mcast_many(batch)
        if taken:
            self._overdraft = False
            self._begin_timing()
        self.sent.sent_many(batch[:taken])
        return taken

    async def _wait(self, pause: float, size: int) -> float:
        """Wait for a reason to try again; answers the next pause. Until then nobody sends."""
        self._changed = anyio.Event()
        self._is_blocked = True
        try:
            return await self._wait_blocked(self._changed, pause, size)
        finally:
            self._is_blocked = False
            self._changed = None

    async def _wait_blocked(self, changed: anyio.Event, pause: float, size: int) -> float:
        if self._membership is None:
            await changed.wait()
            return PAUSE_FIRST_SECONDS
        if self.sent.has_room(size):
            self.congestion_waits += 1
            with anyio.move_on_after(pause):
                await changed.wait()
            return min(2 * pause, PAUSE_MOST_SECONDS)
        self.window_waits += 1
        returned = self.sent.returned
        with anyio.move_on_after(WINDOW_SECONDS) as waited:
            await changed.wait()
        if waited.cancelled_caught and returned == self.sent.returned:
            self._overdraft = True
        return PAUSE_FIRST_SECONDS
