"""
What every engine promises.

An engine is small: it opens, joins, leaves, takes messages or says "congested", and is drained. It does not wait for
readers, number messages, fold views or keep a send window: that is the group's, and alike for all engines.

The promises, which hold on every engine, and are looked at one by one by :func:`aiocpg.testing.check_engine`:

1. All of a membership's methods but the ``async`` ones return at once, whatever the other side does; a drain takes no
more than its budget.
2. The first change a membership drains that counts is the one that lists it as joined; messages ordered before it
never come.
3. The present ring is drained before the first message.
4. Messages and changes of one group are drained in one order, the same for all members of a ring; a sender's keep
theirs.
5. No message is drained between the first change of a ring change and the ring that ends it.
6. Own messages are drained like everybody's. A message that ``mcast`` took is drained before the own departure, or
was lost, which does not happen where nothing is broken; one that it refused was not sent.
7. After ``leave`` the own departure is drained with reason LEAVE, then nothing that counts: no message of ours, and no
change that names us. What others do may still be drained, and is not looked at.
8. A loss is told once by ``on_lost``, after which every call raises the same :class:`ConnectionLostError`; events
drained before stay.
9. Whatever waits on the engine can be cancelled, ends with the loss within a second, and leaves nothing behind.
10. Bad input is refused before anything is sent, with the same class on every engine. Names and sizes are looked at
above it, so what is left is a group that this process holds (AlreadyJoinedError); any name of 1 to 127 bytes and any
message of up to ``max_message_size`` bytes, the empty one too, is good.
11. The present state of the quorum is told before ``watch_quorum`` returns, then each that follows it, but for some
that others followed at once. Nodes that cannot reach each other are never both told that they are quorate, once each
knows that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiocpg._events import Address, DaemonIdentity, RingChange
from aiocpg._state.history import Record
from aiocpg._state.quorum import QuorumState
from aiocpg.errors import CPGError

MAX_EVENTS_PER_DRAIN = 256
"""Events that one turn of the loop takes from a membership, so that a flood does not starve the rest of the program."""

MAX_BYTES_PER_DRAIN = 1024 * 1024
"""Bytes of payload likewise; the event that passes it is still taken."""


class Listener(Protocol):
    """Who hears of a membership. All calls come in the loop that opened it."""

    def on_readable(self) -> None:
        """There may be something to drain. Called again, in a later turn of the loop, until there is nothing."""

    def on_writable(self) -> None:
        """A send that met congestion may be tried again. Not every end of congestion is told; a timer must help."""

    def on_lost(self, error: CPGError) -> None:
        """The membership is over and was not ended by us. Comes once, and never after ``aclose``."""


class Membership(Protocol):
    """One join of one group."""

    @property
    def name(self) -> bytes:
        """The group's name."""

    @property
    def me(self) -> Address:
        """Who we are in the group."""

    def listen(self, listener: Listener) -> None:
        """Begin to report. Called once, before anything else."""

    def drain(self) -> Sequence[Record]:
        """Up to a budget of events and bytes, without waiting; an empty answer means there is nothing now."""

    def mcast(self, data: bytes) -> bool:
        """Take a message, or answer False: congested. Raises ConnectionLostError."""

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        """Take messages in order; answers how many, less than all where congestion was met. Raises as ``mcast``."""

    async def mcast_native(self, data: bytes) -> None:
        """
        Send a message of any size the way the engine's other clients do.

        Nothing else may be sent meanwhile. Cancelling leaves it under way; ``is_sending_native`` tells until when.
        """

    @property
    def is_sending_native(self) -> bool:
        """Whether a native send is still under way, perhaps one that nobody waits for any more."""

    async def leave(self) -> None:
        """Ask to leave, once, with nothing else being sent. The departure itself is drained."""

    async def aclose(self, *, hard: bool = False) -> None:
        """Give everything back; ``hard`` without waiting for an answer of the other side. Repeating does nothing."""

    def abandon(self) -> None:
        """Give everything back from where nothing can be awaited."""


class RingListener(Protocol):
    """Who hears of the connection as a whole. All calls come in the loop that opened it."""

    def on_ring(self, change: RingChange) -> None:
        """The nodes that this node can talk to have changed, or became known."""

    def on_lost(self, error: CPGError) -> None:
        """The connection is over and was not ended by us. Comes once, and never after ``aclose``."""


class QuorumListener(Protocol):
    """Who hears of the quorum. All calls come in the loop that opened the engine."""

    def on_quorum(self, state: QuorumState) -> None:
        """This is how it is now. States that were over before they could be told are left out."""

    def on_quorum_lost(self, error: CPGError) -> None:
        """No more is told, and not because of ``aclose``. The engine may live on, and may be asked again."""


class Engine(Protocol):
    """One connection to the world."""

    @property
    def nodeid(self) -> int:
        """The number of the node we are on."""

    @property
    def max_message_size(self) -> int:
        """Bytes that ``mcast`` takes at the most."""

    @property
    def daemon(self) -> DaemonIdentity | None:
        """Who is behind it, where there is somebody."""

    def listen(self, listener: RingListener) -> None:
        """Begin to report. Called once, before anything else."""

    async def join(self, name: bytes) -> Membership:
        """
        Ask to become a member; that it came about is drained from what this returns.

        Raises:
            AlreadyJoinedError: Another part of this process holds the group.
            EngineUnavailableError: It cannot be done, with the cure.
            ConnectionLostError: The engine went away.
        """

    async def members(self, name: bytes) -> tuple[Address, ...]:
        """A snapshot of a group's members, ahead of what has been drained."""

    async def groups(self) -> Mapping[bytes, tuple[Address, ...]]:
        """A snapshot of all groups."""

    async def ping(self) -> None:
        """
        Ask the other side for a sign of life; returns with it.

        Where it is not there to answer, in time or at all, this waits, or raises what the loss is.
        """

    def ask_ring(self) -> None:
        """See to it that the present ring is reported, if none was yet."""

    async def watch_quorum(self, listener: QuorumListener) -> None:
        """
        Begin to report the quorum, instead of to whoever was told before; what is now was reported when this returns.

        Cancelling leaves nothing behind.

        Raises:
            EngineUnavailableError: It cannot be done, with the cure.
            ConnectionLostError: The engine went away.
        """

    async def aclose(self) -> None:
        """Give everything back. Repeating does nothing."""

    def abandon(self) -> None:
        """Give everything back from where nothing can be awaited."""
