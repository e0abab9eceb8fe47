"""An engine whose joins are asked for and do not come back: no daemon can be made to keep one back for long enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiocpg import Address, ConfigurationChange, DaemonIdentity, MemberChange, Reason, RingChange, RingId
from aiocpg._state.history import Record
from aiocpg.engine._base import Listener, RingListener


class Undelivered:
    """
    A membership whose join was asked for and does not come back: no daemon can be made to keep it back for so long.

    Attributes:
        calls: What was asked of it.
    """

    name = b"group"
    me = Address(1, 10)
    is_sending_native = False

    def __init__(self) -> None:
        self.calls: list[str] = []

    def listen(self, listener: Listener) -> None:
        """Nothing is ever told."""

    def drain(self) -> Sequence[Record]:
        """Nothing has come."""
        return ()

    def mcast(self, data: bytes) -> bool:
        """Take it."""
        return True

    def mcast_many(self, messages: Sequence[bytes]) -> int:
        """Take them."""
        return len(messages)

    async def mcast_native(self, data: bytes) -> None:
        """Take it."""

    async def leave(self) -> None:
        """Write it down."""
        self.calls.append("leave")

    async def aclose(self, *, hard: bool = False) -> None:
        """Write it down."""
        self.calls.append("aclose")

    def abandon(self) -> None:
        """Write it down."""
        self.calls.append("abandon")


class Delivering(Undelivered):
    """A membership that delivers what it is told to, in one turn: a daemon cannot be stopped between two events."""

    def __init__(self, *records: Record) -> None:
        super().__init__()
        self._records = records

    def drain(self) -> Sequence[Record]:
        """All, once."""
        records, self._records = self._records, ()
        return records


OUR_JOIN = ConfigurationChange(b"group", (Undelivered.me,), (MemberChange(Undelivered.me, Reason.JOIN),), ())
RING = RingChange(RingId(1, 4), (1,))
"""What a membership of ours begins with."""


class UndeliveringEngine:
    """
    An engine with such memberships and nothing else.

    Attributes:
        memberships: Those it has made.
    """

    nodeid = 1
    max_message_size = 1_047_552
    daemon: DaemonIdentity | None = None

    def __init__(self) -> None:
        self.memberships: list[Undelivered] = []

    def listen(self, listener: RingListener) -> None:
        """Nothing is ever told."""

    async def join(self, name: bytes) -> Undelivered:
        """Ask."""
        self.memberships.append(Undelivered())
        return self.memberships[-1]

    async def members(self, name: bytes) -> tuple[Address, ...]:
        """Nobody."""
        return ()

    async def groups(self) -> Mapping[bytes, tuple[Address, ...]]:
        """None."""
        return {}

    async def ping(self) -> None:
        """Answer at once."""

    def ask_ring(self) -> None:
        """There is none."""

    async def aclose(self) -> None:
        """Do nothing."""

    def abandon(self) -> None:
        """Do nothing."""
