"""
The values that go round: addresses, messages, changes of membership. All are frozen; none knows where it came from.

Names and numbers are those of ``corosync/cpg.h``.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
"""What can be sent: anything of bytes. It may be reused once the sending call has returned."""


class Reason(enum.IntEnum):
    """Why a member came or went (``cpg_reason_t``)."""

    UNDEFINED = 0
    JOIN = 1
    """It joined."""
    LEAVE = 2
    """It left."""
    NODEDOWN = 3
    """Its node left the ring: crashed, stopped or cut off."""
    NODEUP = 4
    """Its node came into the ring, with the member already in the group."""
    PROCDOWN = 5
    """The process ended or closed without leaving. A daemon that is stopped in order is seen this way too."""


class Guarantee(enum.IntEnum):
    """Delivery guarantees (``cpg_guarantee_t``). A :class:`Group` is AGREED, always; the others live in EVS."""

    UNORDERED = 0
    FIFO = 1
    AGREED = 2
    SAFE = 3


class Address(NamedTuple):
    """
    A member: a process on a node. Ordered, hashable, prints as ``1:4242``.

    Pids are reused: an address names one member only between its join and its departure.
    """

    nodeid: int
    """Corosync's number of the node."""
    pid: int
    """The process id there, in its own pid namespace, as the process itself claims it."""

    def __str__(self) -> str:
        return f"{self.nodeid}:{self.pid}"


class RingId(NamedTuple):
    """
    The name of one ring. It compares as a pair: two halves of a partition may have one ``seq``.

    Print it as corosync's log does, ``1.4c`` (``seq`` in hexadecimal), with ``str``.
    """

    nodeid: int
    """The ring's representative."""
    seq: int
    """Counts rings."""

    def __str__(self) -> str:
        return f"{self.nodeid}.{self.seq:x}"


class MemberChange(NamedTuple):
    """One line of a configuration change: who, and why."""

    address: Address
    reason: Reason


class DaemonIdentity(NamedTuple):
    """Who is behind the descriptor, as the kernel says (``SO_PEERCRED``)."""

    pid: int
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class RingChange:
    """A new ring (``cpg_totem_confchg_fn_t``): which nodes this node's daemon can talk to."""

    ring_id: RingId
    nodes: tuple[int, ...]
    """Node ids, sorted."""


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """
    One configuration change exactly as libcpg reports it (``cpg_confchg_fn_t``).

    A ring change comes as several of these; :class:`View` folds them. ``left`` may name a process nobody knew.
    """

    group: bytes
    members: tuple[Address, ...]
    """The group after the change, sorted by (nodeid, pid)."""
    joined: tuple[MemberChange, ...]
    left: tuple[MemberChange, ...]


@dataclass(frozen=True, slots=True)
class View:
    """
    A stable view of the group: the configuration changes of one ring change folded into one.

    No message falls inside a ring change, so each message stands in exactly one view. ``number`` and ``position`` are
    this member's own; across members compare ``(ring_id, members)``.
    """

    group: bytes
    members: tuple[Address, ...]
    """The members, sorted by (nodeid, pid), not by age."""
    joined: Mapping[Address, Reason] = field(hash=False)
    """Who came since the view before. A member that left and came back within the change is in both mappings."""
    left: Mapping[Address, Reason] = field(hash=False)
    """Who went since the view before."""
    ring_id: RingId
    number: int
    """Counts this member's views since its join, from 1."""
    position: int
    """Messages this member had before this view, since its join."""

    def __post_init__(self) -> None:
        # The mappings are copied and made read-only: a view is shared by every message that stands in it.
        object.__setattr__(self, "joined", MappingProxyType(dict(self.joined)))
        object.__setattr__(self, "left", MappingProxyType(dict(self.left)))

    def __repr__(self) -> str:
        # Short, because each message of a view shows it.
        members = " ".join(map(str, self.members))
        came = "".join(f" +{who} {why.name}" for who, why in self.joined.items())
        went = "".join(f" -{who} {why.name}" for who, why in self.left.items())
        return f"<View {self.number} of {self.group!r} on ring {self.ring_id}: {members};{came}{went}>"

    def __reduce__(self) -> tuple[Any, ...]:
        # A mappingproxy cannot be pickled, a dict can; the constructor wraps it again.
        mappings = (dict(self.joined), dict(self.left))
        return View, (self.group, self.members, *mappings, self.ring_id, self.number, self.position)

    @property
    def stayed(self) -> tuple[Address, ...]:
        """Members that came along with us; at our own join, those who were there before us."""
        return tuple(member for member in self.members if member not in self.joined)


class Message(NamedTuple):
    """
    One delivery, the same for every member of the ring, in the same place of the order.

    A tuple, because one is made for each message that comes, and everything else takes several times as long.
    """

    group: bytes
    sender: Address
    """Who sent it. A daemon checks the node only, so this is not promised to be a member of :attr:`view`."""
    data: bytes
    position: int
    """Counts the group's messages this member has had since its join, this one included."""
    view: View
    """The view the message stands in."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """
    Where one's own message stands in the order.

    It says "ordered, and back here". It does not say that others have it: a node that is cut off delivers to itself.
    """

    position: int
    view: View


@dataclass(frozen=True, slots=True)
class Disconnected:
    """
    A gap: the daemon is gone, and the connection was told to come back (``connect(reconnect=...)``).

    What the others sent and saw from here on never comes. When the group is joined anew, a :class:`View` with
    ourselves in ``joined`` follows, as at the first join: what was synchronised there is to be synchronised again.
    """

    reason: str
    """How it was noticed."""


@dataclass(frozen=True, slots=True)
class DaemonStalled:
    """
    The daemon does not answer; it is not known to be gone. Not in the agreed order: other members do not see it.

    The other nodes take this one for dead after their token timeout, whatever we still believe.
    """

    silent_for: float
    """Seconds without an answer when this was noticed."""


@dataclass(frozen=True, slots=True)
class DaemonResumed:
    """The daemon answers again. Not in the agreed order. What it missed follows as views and messages."""

    silent_for: float
    """Seconds without an answer, in all."""


Event: TypeAlias = Message | ConfigurationChange | RingChange | View | Disconnected | DaemonStalled | DaemonResumed
"""
What ``events()`` hands out. Most programs match :class:`Message` and :class:`View` only, and with ``reconnect``
:class:`Disconnected`.
"""
